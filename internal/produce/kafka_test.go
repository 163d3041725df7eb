package produce_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

func fault(kind queue.PublishKind, reason string) error {
	return &queue.PublishError{Kind: kind, Reason: reason, Err: errors.New("because")}
}

func TestEachAnswerOfAPublisherIsCountedForWhatItIs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := &publisher{
		refuse: func(_ int, m queue.Message) error {
			if string(m.Key) == "run-7" {
				return fault(queue.NotSent, "closed")
			}
			return nil
		},
		answer: func(_ int, m queue.Message, done func(queue.Ack, error)) {
			done(queue.Ack{}, map[string]error{
				"run-1": fault(queue.NotSent, "no-leader"), "run-2": fault(queue.Rejected, "too-large"),
				"run-3": fault(queue.Unknown, "timeout"), "run-4": fault(queue.Unknown, "timeout"),
				"run-5": errors.New("whatever"), "run-6": fault(queue.Unknown, ""),
			}[string(m.Key)])
		},
	}
	o := plain(p)
	o.Count, o.Log = 10, slog.New(slog.NewTextHandler(&log, nil))
	r := run(t.Context(), t, o)
	if r.Acknowledged != 3 || r.NotSent != 2 || r.Rejected != 1 || r.Unknown != 4 || r.ExitCode() != 1 || r.Verdict != produce.VerdictErrors {
		t.Errorf("report %+v", r)
	}
	want := map[string]int64{"no-leader": 1, "too-large": 1, "timeout": 2, "other": 2, "closed": 1}
	for code, n := range want {
		if r.Errors[code] != n {
			t.Errorf("code %s counted %d times, want %d", code, r.Errors[code], n)
		}
	}
	if n := strings.Count(log.String(), "record failed"); n != 5 || !strings.Contains(log.String(), "code=timeout") {
		t.Errorf("%d lines for 5 codes: the first of each is logged, the rest counted\n%s", n, log.String())
	}
}

// A publisher that is busy although it had just had room is asked again; nothing is lost and nothing doubled.
func TestABusyPublisherIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, refusals := &publisher{}, 0
		p.refuse = func(n int, _ queue.Message) error {
			if n == 3 && refusals < 50 {
				refusals++
				return fault(queue.NotSent, "busy")
			}
			return nil
		}
		o := plain(p)
		o.Count = 10
		if r := run(t.Context(), t, o); r.Acknowledged != 10 || r.ExitCode() != 0 || len(p.messages()) != 10 || refusals != 50 {
			t.Errorf("report %+v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{refuse: func(int, queue.Message) error { return fault(queue.NotSent, "busy") }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := run(ctx, t, plain(p)); r.Acknowledged != 0 || r.ExitCode() != 130 || len(p.messages()) != 0 {
			t.Errorf("a Ctrl-C ends the patience: %+v", r)
		}
	})
}

func TestAcknowledgedIDsAreWrittenAsTheyCome(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := &publisher{answer: func(n int, _ queue.Message, done func(queue.Ack, error)) {
		if n == 1 {
			done(queue.Ack{}, fault(queue.Unknown, "timeout"))
			return
		}
		done(queue.Ack{}, nil)
	}}
	o := plain(p)
	o.Count, o.Acked = 3, &b
	run(t.Context(), t, o)
	if b.String() != "run-0:CREATED\nrun-2:CREATED\n" {
		t.Errorf("acknowledged ids:\n%s", b.String())
	}
	full := errors.New("disk full")
	o.Acked = writer(func([]byte) (int, error) { return 0, full })
	if err := runError(t, o); !errors.Is(err, full) {
		t.Errorf("ids that could not be noted: %v", err)
	}
}

// Whatever the publisher does, in whatever order and from wherever: the books balance.
func TestTheBooksBalance(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		fates := rapid.SliceOfN(rapid.IntRange(0, 7), 1, 200).Draw(rt, "fates")
		interrupt := rapid.IntRange(0, 400).Draw(rt, "interrupted after ms")
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			p := &publisher{}
			p.refuse = func(n int, _ queue.Message) error {
				if fates[n%len(fates)] == 5 && time.Now().UnixMilli()%2 == 0 {
					return fault(queue.NotSent, "closed")
				}
				return nil
			}
			p.answer = func(n int, _ queue.Message, done func(queue.Ack, error)) {
				fate := fates[n%len(fates)]
				wg.Go(func() {
					<-time.After(time.Duration(fate) * 10 * time.Millisecond)
					switch fate {
					case 4:
						done(queue.Ack{}, fault(queue.Rejected, "too-large"))
					case 6:
						done(queue.Ack{}, fault(queue.Unknown, "timeout"))
					case 7: // never
					default:
						done(queue.Ack{}, nil)
					}
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(interrupt)*time.Millisecond)
			defer cancel()
			o := plain(p)
			o.Rate, o.Count, o.Drain = produce.PerSecond(1_000), 300, 200*time.Millisecond
			r := run(ctx, t, o)
			wg.Wait()
			if cut := interrupt < 299; cut != (r.ExitCode() == 130) {
				t.Errorf("interrupted after %d ms: exit %d, sent %d", interrupt, r.ExitCode(), r.Sent)
			}
		})
	})
}
