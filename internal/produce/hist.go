package produce

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// hist is a histogram of microseconds, up to a minute, three digits.
type hist struct {
	h       *hdrhistogram.Histogram
	clamped int64
}

const longest = time.Minute

func newHist() *hist { return &hist{h: hdrhistogram.New(1, longest.Microseconds(), 3)} }

func (h *hist) record(d time.Duration) {
	if d > longest {
		d = longest
		h.clamped++
	}
	_ = h.h.RecordValue(max(d, 0).Microseconds()) // it only refuses what was clamped
}

func (h *hist) latency() Latency {
	at := func(p float64) float64 { return float64(h.h.ValueAtPercentile(p)) / 1e3 }
	return Latency{
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.h.Max()) / 1e3, Mean: h.h.Mean() / 1e3,
		Count: h.h.TotalCount(), Clamped: h.clamped,
	}
}
