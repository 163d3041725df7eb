package tui

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// saved is the JSON of a frame that was saved.
type saved struct {
	Schema  string    `json:"schema"`
	SavedAt time.Time `json:"saved_at"`
	Cluster string    `json:"cluster"`
	Phase   string    `json:"phase"` // live, stale, paused, connecting
	Error   string    `json:"error,omitempty"`
	Sample  *Sample   `json:"sample"`
	Events  []Note    `json:"events"`
	History struct {
		RangeSeconds float64    `json:"range_seconds"`
		StepSeconds  float64    `json:"step_seconds"`
		In           []*float64 `json:"in_per_second"` // null: not seen
		Out          []*float64 `json:"out_per_second"`
		Unread       []*float64 `json:"unread"`
	} `json:"history"`
}

// Export writes the frame that is shown as text without colours, and what it was made of as JSON. It writes over no file.
// The returned path is that of the text; the JSON stands beside it.
func Export(o Options, s State, at time.Time) (string, error) {
	base := filepath.Join(o.ExportDir, "orderctl-top-"+at.UTC().Format("20060102T150405Z"))
	s.Edit, s.Banner = nil, ""
	frame := Render(s, Plan(s.W, s.H, s), Bare(), o.Glyphs)
	var text strings.Builder
	for l := range strings.SplitSeq(frame, "\n") {
		text.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	if err := create(base+".txt", []byte(text.String())); err != nil {
		return "", err
	}
	raw, err := json.MarshalIndent(savedOf(o, s, at), "", "  ")
	if err != nil {
		return "", fmt.Errorf("write frame as JSON: %w", err)
	}
	return base + ".txt", create(base+".json", append(raw, '\n'))
}

func savedOf(o Options, s State, at time.Time) saved {
	const steps = 150
	v := saved{Schema: Schema, SavedAt: at.UTC(), Cluster: o.Setup.Cluster, Phase: s.phaseWord(), Error: s.Fail.Text, Sample: s.shown(), Events: s.shownNotes()}
	if v.Events == nil {
		v.Events = []Note{}
	}
	h := s.shownHistory()
	v.History.RangeSeconds, v.History.StepSeconds = s.Range.Seconds(), s.Range.Seconds()/steps
	v.History.In = nulls(h.Total(seriesIn, s.edge(), s.Range, steps))
	v.History.Out = nulls(h.Total(seriesOut, s.edge(), s.Range, steps))
	v.History.Unread = nulls(h.Total(seriesUnread, s.edge(), s.Range, steps))
	return v
}

func (s State) phaseWord() string {
	switch {
	case s.Paused != nil:
		return "paused"
	case s.Phase == PhaseLive:
		return "live"
	case s.Phase == PhaseStale:
		return "stale"
	default:
		return "connecting"
	}
}

// nulls turns gaps into nulls: JSON has no NaN.
func nulls(values []float64) []*float64 {
	list := make([]*float64, len(values))
	for i, v := range values {
		if !math.IsNaN(v) {
			list[i] = &v
		}
	}
	return list
}

// create writes a new file that only its owner may read.
func create(path string, body []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save frame: %w", err)
	}
	_, err = f.Write(body)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path) // half a frame is none
		return fmt.Errorf("save frame: %w", err)
	}
	return nil
}
