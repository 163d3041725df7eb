package produce

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"time"
)

//go:embed sample/online-retail-2010-12.ndjson
var realOrders []byte

// demoRate is how many orders a second `dev --demo` sees.
const demoRate = 20

// RealOrders returns the recorded real orders that stand in sample/.
func RealOrders() *File {
	return &File{
		Name: "sample/online-retail-2010-12.ndjson",
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(realOrders)), nil },
	}
}

// Demo lets the real orders flow in at 20 a second until ctx is done, for ever: with the time of now, and with fresh
// order ids in each round ("536365-r2"). They carry no mark of a load test. Failures are logged and do not end it.
func Demo(ctx context.Context, to Kafka, log *slog.Logger) error {
	file := RealOrders()
	file.Restamp, file.Repeat = true, -1
	p, err := New(Options{Kafka: &to, File: file, Rate: PerSecond(demoRate), RunID: "demo", Drain: time.Second, Log: log, demo: true})
	if err != nil {
		return fmt.Errorf("start demo: %w", err)
	}
	_, err = p.Run(ctx)
	return err
}
