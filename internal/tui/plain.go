package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/text"
)

// Ending is how the last look of Lines went: a sample, or an error.
type Ending struct {
	Sample *Sample
	Err    error
}

// jsonLine is a line of -o jsonl.
type jsonLine struct {
	Schema string    `json:"schema"`
	AsOf   time.Time `json:"as_of"`
	Live   bool      `json:"live"`
	Sample *Sample   `json:"sample"` // null: nothing came
	Events []Note    `json:"events"`
	Error  *string   `json:"error"`
	// Of a look that failed: when it is tried again, and what was known last.
	RetrySeconds *float64   `json:"retry_in_seconds"`
	LastAt       *time.Time `json:"last_at"`
}

// Lines writes a line for each look, in words or as JSON, until ctx ends or there were enough.
func Lines(ctx context.Context, o Options) (Ending, error) {
	if err := o.validate(); err != nil {
		return Ending{}, err
	}
	work, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	if o.Background != nil {
		beside.Go(func() { _ = o.Background(work) }) // what it cannot tell is unknown in the lines
	}
	defer beside.Wait()
	defer stop()
	l := &liner{opts: o}
	for n := 1; ; n++ {
		start := o.Now()
		sample, err := l.look(work)
		if ctx.Err() != nil || errors.Is(err, ErrEnd) {
			return l.end, nil
		}
		pause, err := l.write(sample, err)
		if err != nil || n == o.Count {
			return l.end, err
		}
		if o.Setup.SelfPaced {
			continue
		}
		if pause == 0 {
			pause = max(o.Interval-o.Now().Sub(start), 0)
		}
		if sleep(ctx, pause) != nil {
			return l.end, nil
		}
	}
}

// liner writes lines and remembers what is needed for the next one.
type liner struct {
	opts  Options
	end   Ending
	last  *Sample
	tries int
}

func (l *liner) look(ctx context.Context) (Sample, error) {
	if !l.opts.Setup.SelfPaced {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience(l.opts.Interval))
		defer cancel()
	} else if p, ok := l.opts.Source.(interface{ Ended() bool }); ok && p.Ended() {
		return Sample{}, ErrEnd
	}
	return l.opts.Source.Sample(ctx)
}

// write writes what came. pause is how long to wait before the next look; 0: as the interval says.
func (l *liner) write(s Sample, failed error) (pause time.Duration, err error) {
	if failed != nil {
		l.end = Ending{Err: failed}
		if l.last == nil && l.opts.Fatal(failed) {
			return 0, failed
		}
		l.tries++
		at := when(failed, l.opts.Now())
		pause = Backoff(l.tries, at)
		return pause, l.put(l.failure(at, failed, pause))
	}
	s = s.remembering(l.last)
	l.tries, l.end = 0, Ending{Sample: &s}
	events := []Note{}
	if l.last != nil {
		events = append(events, Changes(*l.last, s)...)
	}
	l.last = &s
	return 0, l.put(jsonLine{Schema: Schema, AsOf: s.At, Live: true, Sample: &s, Events: events}, Words(s))
}

func (l *liner) failure(at time.Time, failed error, pause time.Duration) (jsonLine, string) {
	said, retry := firstLine(failed.Error()), math.Round(pause.Seconds()*10)/10
	j := jsonLine{Schema: Schema, AsOf: at.UTC(), Events: []Note{}, Error: &said, RetrySeconds: &retry}
	words := fmt.Sprintf("%s status=unknown error=%s retry_in=%s", at.UTC().Format(time.RFC3339), strconv.Quote(said), age(max(wholeSeconds(retry), 1)))
	if l.last != nil {
		j.LastAt = &l.last.At
		words += fmt.Sprintf(" last_unread=%s last_seen=%s", plainNumber(l.last.Group.Unread, l.last.Group.AtLeast), age(wholeSeconds(at.Sub(l.last.At).Seconds())))
	}
	return j, words
}

func (l *liner) put(j jsonLine, words string) error {
	if l.opts.JSON != nil {
		return l.opts.JSON(j)
	}
	if _, err := io.WriteString(l.opts.Output, words+"\n"); err != nil {
		return fmt.Errorf("write line: %w", err)
	}
	return nil
}

// Words is a sample in one line.
func Words(s Sample) string {
	g := s.Group
	at := s.At.UTC().Format(time.RFC3339)
	if g.Missing {
		return at + " status=unknown error=" + strconv.Quote("consumer group "+g.Name+" does not exist")
	}
	state, members := unknown, unknown
	if g.State.Known {
		state = word(g.State.V)
	}
	if g.Members.Known {
		members = strconv.Itoa(g.Members.V)
	}
	v := view{g: ASCII()}
	retry, parked, dead := v.pendingWords(s)
	bare := func(s string) string {
		return strings.NewReplacer(",", "", "<= ", "<=", ">= ", ">=", " (", "(", " old)", ")").Replace(s)
	}
	return fmt.Sprintf("%s status=%s state=%s members=%s in=%s out=%s unread=%s change=%s oldest=%s worst=%s retry=%s parked=%s dead=%s",
		at, word(g.Status), state, members, bare(bound(g.RatesMin, perSecond(g.In))), bare(bound(g.RatesMin, perSecond(g.Out))),
		plainNumber(g.Unread, g.AtLeast), change(g), maybeAge(g.Oldest), worst(s), bare(retry), bare(parked), bare(dead))
}

func change(g Group) string {
	d := delta(g.In, g.Out)
	if !d.Known || g.RatesMin {
		return unknown
	}
	return strings.ReplaceAll(signed(d), ",", "") + "/s"
}

// worst is the partition that is worst off, where one is not well.
func worst(s Sample) string {
	rows := slices.Clone(s.Rows)
	slices.SortStableFunc(rows, ByStatus.compare)
	if len(rows) == 0 || grade(rows[0].Severity) == 0 {
		return "-"
	}
	return word(lag.TopicPartition{Topic: rows[0].Topic, Partition: rows[0].Partition}.String())
}

func plainNumber(m lag.Maybe[int64], atLeast bool) string {
	switch {
	case !m.Known:
		return unknown
	case atLeast:
		return ">=" + strconv.FormatInt(m.V, 10)
	default:
		return strconv.FormatInt(m.V, 10)
	}
}

// word is a value that stays one word.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=") {
		return strconv.Quote(s)
	}
	return text.Safe(s)
}
