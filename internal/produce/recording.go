package produce

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// maxLine is the longest line of a recording.
const maxLine = 16 << 20

// recording reads orders from a file, a line each. Lines go out as they are, whatever is in them.
type recording struct {
	o       Options
	now     func() time.Time
	file    io.Closer
	lines   *bufio.Reader
	round   int
	line    int64 // of this round
	inRound int64 // records of this round
	n       int64
	clock   gaps
}

func newRecording(o Options) (*recording, error) {
	r := &recording{o: o, now: time.Now}
	fill(&r.o.File.MaxGap, DefaultMaxGap)
	return r, r.open()
}

func (r *recording) open() error {
	r.round++
	r.line, r.inRound = 0, 0
	file, err := r.o.File.Open()
	if err != nil {
		return fmt.Errorf("open recording: %w", err)
	}
	r.file, r.lines = file, bufio.NewReaderSize(file, 64<<10)
	if magic, _ := r.lines.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil
	}
	zip, err := gzip.NewReader(r.lines)
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("read recording %s: %w", r.o.File.Name, err)
	}
	r.lines = bufio.NewReaderSize(zip, 64<<10)
	return nil
}

func (r *recording) close() error { return r.file.Close() }

func (r *recording) next() (record, bool, error) {
	for {
		line, err := r.read()
		switch {
		case err == nil && len(bytes.TrimSpace(line)) == 0: // no value at all would delete the key of a compacted topic
			continue
		case err == nil:
			return r.record(line), true, nil
		case !errors.Is(err, io.EOF):
			return record{}, false, fmt.Errorf("read recording %s line %d: %w", r.o.File.Name, r.line, err)
		}
		rounds := max(r.o.File.Repeat, 1)
		if r.o.File.Repeat >= 0 && r.round >= rounds || r.inRound == 0 {
			return record{}, false, nil
		}
		_ = r.file.Close()
		if err := r.open(); err != nil {
			return record{}, false, err
		}
	}
}

// read returns the next line without its newline, as memory of its own: a record belongs to the publisher until it is
// acknowledged.
func (r *recording) read() ([]byte, error) {
	r.line++
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, errors.New("the line is longer than 16 MiB")
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

func (r *recording) record(line []byte) record {
	rec := record{number: r.n, at: -1, value: line, content: queue.ContentJSON, ordered: true}
	r.n++
	r.inRound++
	now := r.now()
	o, err := order.ParseJSON(line, order.RejectUnknown)
	rec.order = o
	if r.o.Rate.IsZero() && r.o.File.Speed > 0 {
		rec.at = r.clock.next(o.Timestamp, r.o.File.Speed, r.o.File.MaxGap)
	}
	if err == nil && r.o.File.Restamp {
		r.restamp(&o, now)
		rec.value, rec.order = o.AppendJSON(make([]byte, 0, len(line)+16)), o
	}
	rec.refused = err != nil || refused(o, now)
	if rec.key = o.OrderID; rec.key == "" {
		rec.key = "line-" + strconv.FormatInt(r.line, 10)
	}
	return rec
}

func (r *recording) restamp(o *order.Order, now time.Time) {
	o.Timestamp = now.UnixMilli()
	if r.round > 1 && o.OrderID != "" {
		o.OrderID += "-r" + strconv.Itoa(r.round)
	}
}

// refused predicts whether the API refuses an order, which it completes before it judges.
func refused(o order.Order, now time.Time) bool {
	o.Fill(order.Defaults{OrderID: "x", Currency: "EUR", Now: now})
	return o.Validate(now) != nil
}

// gaps turns recorded times into a schedule. Time never goes back in it, and no wait is longer than the longest gap.
type gaps struct {
	last int64 // newest recorded time, Unix milliseconds
	at   time.Duration
}

func (g *gaps) next(recorded int64, speed float64, longest time.Duration) time.Duration {
	switch {
	case recorded <= 0:
	case g.last == 0:
		g.last = recorded
	case recorded > g.last:
		wait := float64(recorded-g.last) * float64(time.Millisecond) / speed
		g.at += time.Duration(min(wait, float64(longest)))
		g.last = recorded
	}
	return g.at
}
