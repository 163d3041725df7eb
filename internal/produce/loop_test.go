package produce_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"commerce.internal/orderctl/internal/produce"
	"commerce.internal/orderctl/internal/queue"
)

func rate(t *testing.T, s string) produce.Rate {
	t.Helper()
	r, err := produce.ParseRate(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each record leaves when it is due, whatever the rate.
func TestRecordsLeaveOnTheAbsoluteSchedule(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rate  string
		count int64
		every time.Duration
	}{
		{"0.5/s", 10, 2 * time.Second},
		{"100/m", 300, 600 * time.Millisecond},
		{"20k", 10_000, 50 * time.Microsecond},
		{"100k", 20_000, 10 * time.Microsecond},
	} {
		t.Run(row.rate, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &publisher{}
				begin := time.Now()
				r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, row.rate), Count: row.count, MinRate: 1})
				for i, at := range p.at {
					if want := time.Duration(i) * row.every; at.Sub(begin) != want {
						t.Fatalf("record %d left after %v, want %v", i, at.Sub(begin), want)
					}
				}
				if r.Sent != row.count || r.Acknowledged != row.count || r.ExitCode() != 0 || *r.AchievedRatio != 1 {
					t.Errorf("report %+v", r)
				}
				if want := time.Duration(row.count) * row.every; r.Window.Seconds != want.Seconds() {
					t.Errorf("window of %vs, want %v", r.Window.Seconds, want)
				}
			})
		})
	}
}

func TestADurationSendsExactlyItsRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "20k"), Duration: time.Second / 2, MinRate: 0.99})
		if r.Sent != 10_000 || r.Verdict != produce.VerdictOK || *r.AskedRate != 20_000 || r.Dropped != 0 {
			t.Errorf("report %+v", r)
		}
		if r.Schedule != "20k/s for 500ms" || r.Target != "kafka:orders" {
			t.Errorf("schedule %q, target %q", r.Schedule, r.Target)
		}
	})
}

// A target that stands still for a while gets a burst afterwards, and the latencies count from when each was due.
func TestLateRecordsAreCaughtUpWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		k := toKafka(p)
		k.Room = func(ctx context.Context, topic string, partition int32) error {
			if topic != "orders" || partition < 0 || partition > 5 {
				t.Errorf("Room asked for %s/%d", topic, partition)
			}
			if len(p.messages()) == 100 && time.Since(p.at[99]) < time.Second {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		}
		r := run(t.Context(), t, produce.Options{Kafka: k, Rate: rate(t, "100/s"), Count: 500, MinRate: 0.99})
		if r.Sent != 500 || r.ExitCode() != 0 {
			t.Errorf("report %+v", r)
		}
		if last := p.at[499].Sub(p.at[0]); last != 4990*time.Millisecond {
			t.Errorf("the last record left after %v: the schedule drifted", last)
		}
		if r.Latency.Max < 980 || r.SendDelay.Max < 980 || r.Latency.P50 > 1 {
			t.Errorf("a second of standstill must show: %+v", r.Latency)
		}
	})
}

func TestTooLateRecordsAreDroppedWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		k := toKafka(p)
		stood := false
		k.Room = func(context.Context, string, int32) error {
			if !stood {
				stood = true
				<-time.After(3 * time.Second)
			}
			return nil
		}
		r := run(t.Context(), t, produce.Options{
			Kafka: k, Rate: rate(t, "100/s"), Count: 500, OnLag: produce.DropLate, MaxLag: time.Second,
		})
		// Record 0 stood in Room for 3 s; of those due meanwhile the ones above 1 s late are gone.
		if r.Dropped != 199 || r.Sent != 301 || r.ExitCode() != 5 || r.Verdict != produce.VerdictRate {
			t.Errorf("dropped %d, sent %d, exit %d", r.Dropped, r.Sent, r.ExitCode())
		}
	})
}

// A rate that cannot be reached ends with its duration, and with exit code 5.
func TestARateThatCannotBeReached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{}
		k := toKafka(p)
		k.Room = func(context.Context, string, int32) error {
			<-time.After(time.Millisecond) // a thousand a second, not more
			return nil
		}
		begin := time.Now()
		r := run(t.Context(), t, produce.Options{Kafka: k, Rate: rate(t, "5k"), Duration: 10 * time.Second, MinRate: 0.99})
		if took := time.Since(begin); took > 12*time.Second {
			t.Errorf("took %v", took)
		}
		if r.ExitCode() != 5 || r.Sent+r.Dropped != 50_000 || r.Sent > 11_500 || r.Dropped == 0 {
			t.Errorf("exit %d, sent %d, dropped %d", r.ExitCode(), r.Sent, r.Dropped)
		}
		if ratio := *r.AchievedRatio; ratio < 0.15 || ratio > 0.25 {
			t.Errorf("achieved ratio %v, want about 0.2", ratio)
		}
	})
}

// With a count and no duration everything is sent, however late; the ratio tells.
func TestACountIsSentWholeEvenWhenLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := toKafka(&publisher{})
		k.Room = func(context.Context, string, int32) error {
			<-time.After(time.Millisecond)
			return nil
		}
		o := produce.Options{Kafka: k, Rate: rate(t, "2k"), Count: 4_000, MinRate: 0.99}
		if r := run(t.Context(), t, o); r.Sent != 4_000 || r.ExitCode() != 5 || *r.AchievedRatio > 0.51 || *r.AchievedRatio < 0.49 {
			t.Errorf("sent %d, exit %d, ratio %v", r.Sent, r.ExitCode(), *r.AchievedRatio)
		}
		if o.MinRate = 0; run(t.Context(), t, o).ExitCode() != 0 {
			t.Error("a rate nobody insists on was missed")
		}
	})
}

func TestSlowAnswersShowInTheLatencyAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{answer: func(_ int, _ queue.Message, done func(queue.Ack, error)) {
			time.AfterFunc(2*time.Second, func() { done(queue.Ack{}, nil) })
		}}
		r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "100/s"), Duration: 10 * time.Second, MinRate: 0.99})
		if r.Latency.P50 < 1_990 || r.Service.P50 < 1_990 || r.SendDelay.Max != 0 || r.Latency.Count != 1_000 {
			t.Errorf("latency %+v, service %+v, delay %+v", r.Latency, r.Service, r.SendDelay)
		}
		// 1,000 answers in the 11.99 s to the last one: the window ends there.
		if r.ExitCode() != 5 {
			t.Errorf("exit %d, ratio %v", r.ExitCode(), *r.AchievedRatio)
		}
	})
}

func TestLatenciesAboveAMinuteAreClampedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{answer: func(_ int, _ queue.Message, done func(queue.Ack, error)) {
			time.AfterFunc(2*time.Minute, func() { done(queue.Ack{}, nil) })
		}}
		r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "1/s"), Count: 3, Drain: 5 * time.Minute})
		if r.Latency.Clamped != 3 || r.Latency.Max < 59_900 || r.Latency.Max > 60_100 {
			t.Errorf("latency %+v", r.Latency)
		}
	})
}

// A Ctrl-C waits for what is under way and reports; 130 says that an asked end was cut off.
func TestInterruptDrainsAndReports(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		count int64
		exit  int
	}{"before the asked count": {1_000, 130}, "of an endless run": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &publisher{answer: func(_ int, _ queue.Message, done func(queue.Ack, error)) {
					time.AfterFunc(100*time.Millisecond, func() { done(queue.Ack{}, nil) })
				}}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+time.Millisecond)
				defer cancel()
				r := run(ctx, t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "100/s"), Count: row.count, MinRate: 0.9})
				if r.Sent != 501 || r.Acknowledged != 501 || r.ExitCode() != row.exit {
					t.Errorf("sent %d, acknowledged %d, exit %d", r.Sent, r.Acknowledged, r.ExitCode())
				}
			})
		})
	}
}

func TestInterruptEndsAWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := toKafka(&publisher{})
		k.Room = func(ctx context.Context, _ string, _ int32) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		r := run(ctx, t, produce.Options{Kafka: k, Rate: produce.Max(), Count: 10})
		if r.Sent != 0 || r.ExitCode() != 130 || time.Since(begin) != time.Second {
			t.Errorf("sent %d, exit %d after %v", r.Sent, r.ExitCode(), time.Since(begin))
		}
	})
}

// An answer that never comes is an unknown outcome, after the bound and not later; one that comes then is nobody's.
func TestMissingAnswersAreUnknownAfterTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var late func(queue.Ack, error)
		p := &publisher{answer: func(n int, _ queue.Message, done func(queue.Ack, error)) {
			if n != 1 {
				done(queue.Ack{}, nil)
				return
			}
			late = done
		}}
		begin := time.Now()
		r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "10/s"), Count: 3})
		if r.Unknown != 1 || r.Errors["no-answer"] != 1 || r.ExitCode() != 1 {
			t.Errorf("report %+v", r)
		}
		if took := time.Since(begin); took != 200*time.Millisecond+produce.DefaultDrainTimeout {
			t.Errorf("took %v", took)
		}
		late(queue.Ack{}, nil)
	})
}

func TestMaxSendsAsFastAsThereIsRoom(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: produce.Max(), Count: 5_000, MinRate: 0.99})
	if r.Sent != 5_000 || r.ExitCode() != 0 || r.AskedRate != nil || r.AchievedRatio != nil || r.AchievedRate == nil {
		t.Errorf("report %+v", r)
	}
	if r.CPUPerRecord == nil || *r.CPUPerRecord <= 0 {
		t.Errorf("CPU per record: %v", r.CPUPerRecord)
	}
}

func TestMaxEndsWithItsDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := toKafka(&publisher{})
		k.Room = func(context.Context, string, int32) error {
			<-time.After(time.Millisecond)
			return nil
		}
		r := run(t.Context(), t, produce.Options{Kafka: k, Rate: produce.Max(), Duration: time.Second})
		if r.Sent != 1_000 || r.Dropped != 0 || r.ExitCode() != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

func TestProgressIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &publisher{answer: func(n int, _ queue.Message, done func(queue.Ack, error)) {
			switch {
			case n == 3:
				done(queue.Ack{}, errors.New("cut"))
			case n < 2_990:
				done(queue.Ack{}, nil)
			default:
				time.AfterFunc(time.Hour, func() { done(queue.Ack{}, nil) })
			}
		}}
		var seen []produce.Progress
		run(t.Context(), t, produce.Options{
			Kafka: toKafka(p), Rate: rate(t, "100/s"), Duration: 30*time.Second + 5*time.Millisecond,
			ReportEvery: 10 * time.Second, Progress: func(p produce.Progress) { seen = append(seen, p) }, Drain: time.Millisecond,
		})
		if len(seen) != 3 {
			t.Fatalf("%d reports, want 3", len(seen))
		}
		last := seen[2]
		if last.Elapsed != 30*time.Second || last.Asked != 100 || last.Failures != 1 || last.InFlight < 10 || last.InFlight > 11 {
			t.Errorf("progress %+v", last)
		}
		if last.Sent < 99.8 || last.Sent > 100.2 || last.Acked < 98.8 || last.Acked > 99.2 {
			t.Errorf("sent %v/s, acknowledged %v/s", last.Sent, last.Acked)
		}
	})
}

// The real clock: what is asked is what comes out.
func TestARealRateIsReached(t *testing.T) {
	t.Parallel()
	p := &publisher{}
	r := run(t.Context(), t, produce.Options{Kafka: toKafka(p), Rate: rate(t, "5k"), Duration: time.Second, MaxLag: time.Minute})
	if r.Sent != 5_000 || r.Acknowledged != 5_000 {
		t.Errorf("sent %d, acknowledged %d, want 5000", r.Sent, r.Acknowledged)
	}
	if ratio := *r.AchievedRatio; ratio < 0.5 || ratio > 1 {
		t.Errorf("achieved ratio %v", ratio)
	}
}
