package out

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"commerce.internal/orderctl/internal/text"
)

// ProgressOptions is how progress is told.
type ProgressOptions struct {
	Verb   string // what is being done: replay
	Total  int64  // 0: not known
	Quiet  bool
	Redraw bool             // one line that is drawn again and again; see CanRedraw
	Width  int              // of the terminal; 0: 80
	Every  time.Duration    // between two plain lines; 0: 10s
	Now    func() time.Time // nil: time.Now
}

// Progress tells on stderr how far a long piece of work has come: on a terminal one line that is redrawn, elsewhere a
// plain line now and then and a last one. It starts nothing, so it need not be closed when the work fails.
type Progress struct {
	o      ProgressOptions
	w      io.Writer
	bar    *progressbar.ProgressBar
	start  time.Time
	told   time.Time
	done   int64
	failed int64
}

// CanRedraw decides whether a line may be redrawn: on a terminal that is not dumb, and not for a reader to whom each
// redrawing is read aloud. env looks a variable up.
func CanRedraw(env func(string) string, terminal bool) bool {
	return terminal && env("TERM") != "dumb" && env("ACCESSIBLE") == ""
}

// NewProgress begins to count.
func NewProgress(w io.Writer, o ProgressOptions) *Progress {
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Width <= 0 {
		o.Width = 80
	}
	o.Verb = text.Safe(o.Verb)
	p := &Progress{o: o, w: w, start: o.Now()}
	p.told = p.start
	if o.Redraw && !o.Quiet {
		// The library only redraws: the line is ours, and its own spinner, clock and goroutine are off.
		p.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(w),
			progressbar.OptionSpinnerCustom([]string{""}),
			progressbar.OptionSetSpinnerChangeInterval(0),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(100*time.Millisecond),
		)
	}
	return p
}

// Set tells how many are done, and how many of these failed.
func (p *Progress) Set(done, failed int64) {
	p.done, p.failed = done, failed
	switch {
	case p.o.Quiet:
	case p.bar != nil:
		p.bar.Describe(text.Truncate(p.line(true), p.o.Width-2))
	case p.o.Now().Sub(p.told) >= p.o.Every:
		p.told = p.o.Now()
		p.tell()
	}
}

// Finish tells the end.
func (p *Progress) Finish() {
	if p.o.Quiet {
		return
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.tell()
}

func (p *Progress) tell() { _, _ = io.WriteString(p.w, p.line(false)+"\n") }

// line is "replay 118/312  38%  49/s  ETA 4s  failed 2"; the time that is left is only told while it can change.
func (p *Progress) line(eta bool) string {
	var b strings.Builder
	b.WriteString(p.o.Verb + " " + strconv.FormatInt(p.done, 10))
	if p.o.Total > 0 {
		fmt.Fprintf(&b, "/%d  %d%%", p.o.Total, p.done*100/p.o.Total)
	}
	seconds := p.o.Now().Sub(p.start).Seconds()
	if rate := float64(p.done) / seconds; seconds > 0 && p.done > 0 {
		b.WriteString("  " + shortRate(rate) + "/s")
		if left := p.o.Total - p.done; eta && left > 0 {
			b.WriteString("  ETA " + Age(time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second)))
		}
	}
	if p.failed > 0 {
		fmt.Fprintf(&b, "  failed %d", p.failed)
	}
	return b.String()
}

func shortRate(f float64) string {
	if f >= 10 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return shortFloat(f)
}
