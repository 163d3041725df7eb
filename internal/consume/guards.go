package consume

import (
	"context"
	"errors"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

// Guards are what keeps a worker from doing harm, and from doing nothing. Each is off where its field is zero.
type Guards struct {
	Flood  FloodOptions
	Rejoin func(ctx context.Context, reason string) // ends the session of the group: all partitions are claimed anew

	Runs Runs
	Slot string // the name of this process among those of the group, the same after a restart

	Peek       Peeker
	OnBadBatch string // BadBatchHalt ("") or BadBatchPointer

	Keeper    Keeper
	KeepDone  time.Duration                                   // what is done is remembered so long
	Committed func(context.Context) ([]queue.Position, error) // the commits of the group
}

func (g Guards) validate() error {
	switch {
	case g.Flood.on() && g.Flood.Probe <= 0:
		return errors.New("consume: Options.Flood.Probe is required")
	case g.Flood.Ratio > 0 && g.Flood.Window < 1:
		return errors.New("consume: Options.Flood.Window is required")
	case g.Runs != nil && g.Slot == "":
		return errors.New("consume: Options.Slot is required")
	}
	return nil
}
