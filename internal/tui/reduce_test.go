package tui_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/tui"
)

const refused = "cannot reach Kafka at localhost:9092: connection refused"

func after(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }

func TestTheNextQuestionComesOneIntervalAfterTheStartOfTheLast(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		answer float64 // seconds after the question
		next   float64
	}{
		{"a fast answer", 0.1, 2},
		{"a slow answer", 1.9, 2},
		{"an answer slower than the interval", 3.5, 3.5},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := start(t, 80, 24).sees(sample(after(row.answer)))
			polls := d.polls()
			if len(polls) != 2 || !polls[1].At.Equal(after(row.next)) {
				t.Errorf("questions %+v, the second should be at %s", polls, after(row.next))
			}
			if polls[0].Wait != 4*time.Second {
				t.Errorf("an answer may take %s", polls[0].Wait)
			}
		})
	}
	for interval, want := range map[time.Duration]time.Duration{500 * time.Millisecond: 3 * time.Second, 4 * time.Second: 8 * time.Second, 30 * time.Second: 10 * time.Second} {
		_, effects := tui.NewState(setup(), interval, time.Minute, noon)
		if p, ok := effects[0].(tui.Poll); !ok || p.Wait != want {
			t.Errorf("every %s an answer may take %+v, want %s", interval, effects[0], want)
		}
	}
}

func TestAnswersThatWereNotAskedForAreDropped(t *testing.T) {
	t.Parallel()
	d := start(t, 80, 24).sees(sample(noon))
	before := d.s.Revision
	d.do(tui.Sampled{Gen: d.s.Poll - 1, At: after(1), Sample: blind(after(1))}).do(tui.Failed{Gen: d.s.Poll - 1, At: after(1), Err: errors.New("x")})
	d.do(tui.Tick{Gen: d.s.Wake - 1, At: after(90)})
	if d.s.Revision != before || d.s.Phase != tui.PhaseLive {
		t.Errorf("a late answer or an old alarm changed the state: %v", d.s.Phase)
	}
	d.shows("LIVE", "9,208")
}

func TestAFailureShowsAtOnceAndItsPastStaysWithItsAge(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample).hides("STALE")
	d.fails(after(2), refused).shows("✗ STALE 2s", refused, "Try 2 in 1s", "In ?   Out ?", "Unread 14,210 (2s old)", "was Stable").hides("LIVE", "In 631")
	d.ticks(after(9)).shows("STALE 9s", "(9s old)")
	d.sees(sample(after(11))).shows("● LIVE 2s", "Unread 14,210").hides("STALE", "old)", "✗")
}

func TestSilenceOfTwoIntervalsIsAFailureToo(t *testing.T) {
	t.Parallel()
	d := start(t, 80, 24).sees(sample(noon))
	if alarm := lastWake(d); !alarm.At.Equal(after(4)) {
		t.Fatalf("the alarm is set for %s", alarm.At)
	}
	d.ticks(after(4)).shows("✗ STALE 4s", "no answer for 4s")
	if n := len(d.polls()); n != 2 {
		t.Errorf("%d questions: the one that is out must not be asked twice", n)
	}
	d.sees(sample(after(5))).shows("LIVE").hides("STALE")
	d.ticks(after(9)).shows("STALE").fails(after(10), "did not answer").fails(after(14), "did not answer")
	if n := len(d.s.Notes); n != 1 || d.s.Notes[0].Kind != "gap" || d.s.Notes[0].Text != "did not answer" {
		t.Errorf("an outage that began in silence is among the events as %+v", d.s.Notes)
	}
}

func lastWake(d *drive) tui.Wake {
	for _, e := range slices.Backward(d.effects) {
		if w, ok := e.(tui.Wake); ok {
			return w
		}
	}
	return tui.Wake{}
}

func TestItIsTriedForEverWithGrowingPauses(t *testing.T) {
	t.Parallel()
	d := start(t, 80, 24)
	at := noon
	for i, want := range []float64{1, 2, 4, 8, 16, 30, 30, 30, 30} {
		d.fails(at, refused)
		polls := d.polls()
		pause := polls[len(polls)-1].At.Sub(at).Seconds()
		if pause < 0.8*want-0.01 || pause > 1.2*want+0.01 {
			t.Errorf("after failure %d it waits %.1f s, about %.0f was to be expected", i+1, pause, want)
		}
		at = polls[len(polls)-1].At
	}
	d.shows("CONNECTING", refused, "Try 10 in")
	if _, ended := d.quit(); ended {
		t.Error("it ended")
	}
	if first := tui.Backoff(3, noon); first != tui.Backoff(3, noon) {
		t.Error("the same failure waits differently: a replay could not show it")
	}
}

func TestRAsksNowButNeverTwice(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample).fails(after(1), refused).fails(after(2), refused)
	n := len(d.polls())
	d.press(after(2.5), tui.AskNow)
	if polls := d.polls(); len(polls) != n+1 || !polls[n].At.Equal(after(2.5)) {
		t.Fatalf("R asked %+v", polls[n:])
	}
	d.press(after(2.6), tui.AskNow, tui.AskNow)
	if polls := d.polls(); len(polls) != n+1 {
		t.Errorf("R asked again while the question was out: %+v", polls[n+1:])
	}
}

func TestOnlyAFatalFirstContactEndsIt(t *testing.T) {
	t.Parallel()
	denied := errors.New("refused the login")
	d := start(t, 80, 24)
	d.do(tui.Failed{Gen: d.s.Poll, At: noon, Err: denied, Fatal: true})
	if err, ended := d.quit(); !ended || !errors.Is(err, denied) {
		t.Errorf("ended %v, %v", ended, err)
	}
	d = live(t, 80, 24, sample)
	d.do(tui.Failed{Gen: d.s.Poll, At: after(2), Err: denied, Fatal: true})
	if _, ended := d.quit(); ended {
		t.Error("a login that is refused later ended it")
	}
	d.shows("refused the login", "9,208")
}

func TestAMissingGroupIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := start(t, 80, 24).sees(tui.Sample{At: noon, Group: tui.Group{Name: "orders-worker", Missing: true}})
	d.shows("does not exist yet", "Unread ?")
	d.sees(sample(after(2))).shows("Stable, 3 members")
	if last := d.s.Notes[0].Text; last != "the group orders-worker appeared" {
		t.Errorf("the event is %q", last)
	}
}

func TestAClockJumpIsAGapAndOneSampleWithoutRates(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	d.sees(sample(after(60))).shows("In ?", "Out ?", "Unread 14,210")
	if got := d.s.Notes[len(d.s.Notes)-1]; got.Kind != "gap" || got.Text != "nothing was seen for 1m" {
		t.Errorf("the event is %+v", got)
	}
	d.sees(sample(after(62))).shows("In 631/s")
	slow := sample(after(71))
	slow.TookMS = 4000
	if d.sees(slow).shows("In 631/s"); len(d.s.Notes) != 1 {
		t.Errorf("an answer that takes its time is a gap: %+v", d.s.Notes)
	}
}

func TestAPauseHoldsTheFrameAndHistoryGoesOn(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample).press(after(1), tui.TogglePause)
	body := func() string { return strings.Join(strings.Split(d.frame(), "\n")[1:], "\n") }
	before := body()
	for i := range 30 {
		d.sees(wave(many(after(2+2*float64(i))), i)).ticks(after(3 + 2*float64(i)))
	}
	if got := body(); got != before {
		t.Errorf("the frame moved:\n%s\nit was\n%s", got, before)
	}
	d.shows("‖ PAUSED 1m01s")
	d.press(after(61), tui.TogglePause).shows("LIVE", "Partitions 500")
	if got := d.s.History.Known(after(60), time.Minute); got < 28 {
		t.Errorf("%d samples of the pause are in the history", got)
	}
}

func TestTheCursorFollowsItsRowAndRowsRestUnderTheFingers(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample).press(noon, tui.Down, tui.Down)
	chosen := d.s.Cursor
	if chosen != (tui.Key{Topic: "orders", Partition: 5}) {
		t.Fatalf("the cursor is on %v", chosen)
	}
	reversed := func(at time.Time) tui.Sample {
		s := sample(at)
		for i := range s.Rows {
			s.Rows[i].Unread, s.Rows[i].Status, s.Rows[i].Severity = lag.Know(int64(10000*int(s.Rows[i].Partition+1))), lag.OK, lag.SevOK.String()
		}
		return s
	}
	order := slices.Clone(d.s.Order)
	d.sees(reversed(after(2))).sees(reversed(after(4)))
	if !slices.Equal(order, d.s.Order) {
		t.Error("rows moved within 5 s of a key")
	}
	d.sees(reversed(after(6)))
	if slices.Equal(order, d.s.Order) || d.s.Cursor != chosen {
		t.Errorf("after 5 s: order %v, cursor %v", d.s.Order, d.s.Cursor)
	}
	moved := slices.Clone(d.s.Order)
	d.sees(sample(after(8)))
	if !slices.Equal(moved, d.s.Order) {
		t.Error("rows were sorted again after 2 s")
	}
	s := sample(after(10))
	s.Rows = slices.DeleteFunc(s.Rows, func(r tui.Row) bool { return r.Key == chosen })
	d.sees(s)
	if d.s.Cursor == chosen || !slices.Contains(d.s.Order, d.s.Cursor) {
		t.Errorf("the row is gone, the cursor is on %v", d.s.Cursor)
	}
}

func TestSortFilterAndReverse(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, func(at time.Time) tui.Sample {
		s := sample(at)
		s.Rows[2].Unread, s.Rows[2].Oldest = lag.Maybe[int64]{}, lag.Maybe[float64]{}
		return s
	})
	order := func() (list []int32) {
		for _, k := range d.s.Order {
			list = append(list, k.Partition)
		}
		return list
	}
	check := func(name string, want ...int32) {
		t.Helper()
		if got := order(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	check("status: a warning, then the unknown, then the longest", 3, 2, 0, 5, 1, 4)
	d.press(noon, tui.SortNext)
	check("unread: the unknown is the worst", 2, 3, 0, 5, 1, 4)
	d.press(noon, tui.SortNext)
	check("delta", 3, 0, 1, 2, 4, 5)
	d.press(noon, tui.SortNext)
	check("oldest", 2, 3, 0, 5, 1, 4)
	d.press(noon, tui.SortNext)
	check("partition", 0, 1, 2, 3, 4, 5)
	d.press(noon, tui.Reverse)
	check("reversed", 5, 4, 3, 2, 1, 0)
	d.press(noon, tui.SortPrevious, tui.SortPrevious, tui.SortPrevious, tui.SortPrevious, tui.Reverse)
	filter := func(text string) *drive {
		return d.press(noon, tui.EditFilter).do(tui.Typed{At: noon, Text: text, Pos: len(text)}).press(noon, tui.KeepFilter)
	}
	filter("/[35]$|/[35] ")
	check("a filter", 3, 5)
	d.shows("filter: /[35]$|/[35]", "(2)")
	filter("!hot")
	check("an inverted filter takes no notice of case", 2, 0, 5, 1, 4)
	filter("nothing like it").shows("no row passes the filter")
	d.press(noon, tui.EditFilter).do(tui.Typed{At: noon, Text: "(", Pos: 1}).press(noon, tui.KeepFilter).shows("not a regular expression")
	d.press(noon, tui.DropFilter)
	if d.s.Filter.Text != "nothing like it" || d.s.Edit != nil {
		t.Errorf("Esc left %q", d.s.Filter.Text)
	}
	filter("")
	check("no filter", 3, 2, 0, 5, 1, 4)
}

func TestKeysLookAtThings(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	d.press(noon, tui.ToggleHelp).shows("─ Keys ─").press(noon, tui.Back).hides("─ Keys ─")
	d.press(noon, tui.OpenRow).shows("─ orders/3 ─", "orderctl lag orders-worker -t orders -p 3 --watch", "hot order id").press(noon, tui.Back).hides("─ orders/3 ─")
	d.press(noon, tui.ViewDead).shows("orderctl dlq replay -g orders-worker --class exhausted --dry-run", "order 536412, attempts 5")
	d.press(noon, tui.Back).shows("Orders per second")
	d.press(noon, tui.NextView).hides("Orders per second").shows("retry.10m").press(noon, tui.NextView).shows("Dead letters").press(noon, tui.NextView).shows("Orders per second")
	d.press(noon, tui.ViewPartitions, tui.Bottom, tui.OpenRow).shows("─ orders.orders-worker.dlq ─", "orderctl dlq list")
	d.press(noon, tui.Up).shows("─ orders.orders-worker.retry.10m ─", "they wait for their time")
	d.press(noon, tui.Back, tui.Back, tui.NextRange).shows("15m").press(noon, tui.NextRange, tui.NextRange).shows("-1m ")
	theme := d.s.Theme
	if d.press(noon, tui.NextTheme); d.s.Theme == theme {
		t.Error("T changed no theme")
	}
	if err, ended := d.press(noon, tui.Leave).quit(); !ended || err != nil {
		t.Errorf("q: %v, %v", ended, err)
	}
}

func TestPlusAndMinusChangeTheInterval(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	d.press(after(0.5), tui.Slower).shows("every 5s", "LIVE 5s")
	polls := d.polls()
	if at := polls[len(polls)-1].At; !at.Equal(after(5)) {
		t.Errorf("the next question is at %s", at)
	}
	d.sees(sample(after(5))).shows("In 631/s") // five seconds are no clock jump
	d.press(after(5.1), tui.Faster, tui.Faster, tui.Faster).shows("LIVE 1s")
	d.press(after(5.2), tui.Slower, tui.Slower, tui.Slower, tui.Slower, tui.Slower, tui.Slower).shows("LIVE 30s")
}

func TestASavedFrameIsSaidAndAFailedOneStays(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample).press(after(1), tui.SaveFrame)
	if _, ok := d.effects[len(d.effects)-1].(tui.Save); !ok {
		t.Fatalf("e does %T", d.effects[len(d.effects)-1])
	}
	d.do(tui.Saved{At: after(1), Path: "x.txt"}).shows("saved x.txt").sees(sample(after(2))).shows("saved").sees(sample(after(14))).hides("saved")
	d.do(tui.Saved{At: after(15), Err: errors.New("no space left on device")}).sees(sample(after(60))).shows("✗ cannot save: no space left on device")
	d.press(after(61), tui.Down).hides("cannot save").shows("q quit")
	d.do(tui.Sampled{Gen: d.s.Poll, At: after(62), Sample: sample(after(62)), Notice: "no record: it exists"}).shows("no record: it exists", "LIVE")
}

func TestEventsAreToldOnceAndInOrder(t *testing.T) {
	t.Parallel()
	a, b := sample(noon), sample(after(2))
	b.Rows[0].Status, b.Rows[0].Severity = lag.Stalled, lag.SevCritical.String()
	b.Rows[3].Status, b.Rows[3].Severity = lag.Draining, lag.SevOK.String()
	b.Rows[1].Leader = lag.Know(b.Rows[1].Leader.V + 1)
	b.Rows[2].Leader = lag.Maybe[int32]{}
	b.Rows[4].Status = lag.Growing
	b.Group.State, b.Group.Members, b.Group.Names = lag.Know(lag.StatePreparing), lag.Know(4), []string{"worker-1", "worker-2", "worker-4", "worker-5"}
	b.Pinned[1].Status, b.Pinned[1].Severity = lag.Overdue, lag.SevWarning.String()
	b.Pending.V.Classes = []tui.ClassCount{{Class: "exhausted", Count: 21, OrderID: "77"}, {Class: "crash", Count: 1}}
	b.Pending.V.At = after(2)
	var got []string
	for _, n := range tui.Changes(a, b) {
		got = append(got, n.Kind+": "+n.Text)
	}
	want := []string{
		"members: members 3 -> 4, worker-4 joined, worker-5 joined, worker-3 left", "state: group Stable -> PreparingRebalance",
		"status: orders/0 STALLED: 1,902 unread", "leader: leader of orders/1: b2 -> b3", "status: orders/3 DRAINING again, was HOT",
		"overdue: retry.1m OVERDUE: 150 waiting", "dead: dlq +2 exhausted, order 77", "dead: dlq +1 crash",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	quiet, loud := many(noon), many(after(2))
	for i := range loud.Rows {
		loud.Rows[i].Status, loud.Rows[i].Severity = lag.Unknown, lag.SevUnknown.String()
	}
	if all := tui.Changes(quiet, loud); len(all) != 1 || all[0].Text != "orders/0 UNKNOWN: 0 unread and 499 partitions more" {
		t.Errorf("500 partitions say %d things: %v", len(all), all[:1])
	}
	if again := tui.Changes(b, b); len(again) != 0 {
		t.Errorf("nothing happened, and yet: %v", again)
	}
	d := live(t, 80, 24, sample)
	for i := range 300 {
		s := sample(after(2 + 2*float64(i)))
		s.Group.Members = lag.Know(i)
		d.sees(s)
	}
	if n := len(d.s.Notes); n != 200 {
		t.Errorf("%d events are kept", n)
	}
}

// A leader that moves, and a worker that leaves, while nobody can tell: it is told as soon as somebody can.
func TestWhatChangesInTheDarkIsToldAfterwards(t *testing.T) {
	t.Parallel()
	d := live(t, 80, 24, sample)
	d.sees(blind(after(2))).sees(blind(after(4)))
	later := sample(after(6))
	later.Rows[1].Leader, later.Group.Members, later.Group.Names = lag.Know[int32](3), lag.Know(2), []string{"worker-1", "worker-2"}
	n := len(d.s.Notes)
	d.sees(later)
	var got []string
	for _, note := range d.s.Notes[n:] {
		if note.Kind != "status" && note.Kind != "overdue" {
			got = append(got, note.Text)
		}
	}
	if want := []string{"members 3 -> 2, worker-3 left", "leader of orders/1: b2 -> b3"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// Whatever happens in whatever order: no panic, the cursor on a row, one question at most, frames of their size.
func TestAnySequenceOfEventsHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, effects := tui.NewState(setup(), 2*time.Second, 5*time.Minute, noon)
		at := noon
		var out *tui.Poll // the question without an answer
		note := func(effects []tui.Effect) {
			for _, e := range effects {
				if p, ok := e.(tui.Poll); ok {
					if out != nil && !out.At.After(at) {
						rt.Fatalf("asked at %s while the question of %s is out", at, out.At)
					}
					out = &p // it takes the place of one that waits
				}
			}
		}
		note(effects)
		makes := []func(time.Time) tui.Sample{sample, many, blind, hostile, func(at time.Time) tui.Sample { return of(at, nil) }}
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			at = at.Add(time.Duration(rapid.IntRange(-1000, 9000).Draw(rt, "ms")) * time.Millisecond)
			e := anyEvent(rt, s, at, makes)
			if answers(e) {
				out = nil
			}
			s, effects = tui.Reduce(s, e)
			note(effects)
			if s.Polling != (out != nil) {
				rt.Fatalf("a question is out: %v, and the state says %v", out != nil, s.Polling)
			}
			exact(rt, tui.Render(s, tui.Plan(s.W, s.H, s), tui.NewTheme("auto", true), tui.UTF8()), s.W, s.H)
			if !onARow(s) {
				rt.Fatalf("the cursor is on no row: %v", s.Cursor)
			}
		}
	})
}

func answers(e tui.Event) bool {
	switch e.(type) {
	case tui.Sampled, tui.Failed:
		return true
	}
	return false
}

// onARow reports whether the cursor stands on a row that there is.
func onARow(s tui.State) bool {
	shown := s.Last
	if s.Paused != nil {
		shown = s.Paused.Sample
	}
	if slices.Contains(s.Order, s.Cursor) {
		return true
	}
	if shown != nil && slices.ContainsFunc(shown.Pinned, func(r tui.Row) bool { return r.Key == s.Cursor }) {
		return true
	}
	return len(s.Order) == 0 && s.Cursor == tui.Key{}
}

func anyEvent(rt *rapid.T, s tui.State, at time.Time, makes []func(time.Time) tui.Sample) tui.Event {
	switch rapid.IntRange(0, 7).Draw(rt, "kind") {
	case 0, 1:
		return tui.Sampled{Gen: s.Poll, At: at, Sample: rapid.SampledFrom(makes).Draw(rt, "sample")(at)}
	case 2:
		return tui.Failed{Gen: s.Poll, At: at, Err: fmt.Errorf("%s", rapid.String().Draw(rt, "error"))}
	case 3:
		return tui.Tick{Gen: s.Wake, At: at}
	case 4:
		return tui.Resized{W: rapid.IntRange(1, 160).Draw(rt, "w"), H: rapid.IntRange(1, 50).Draw(rt, "h")}
	case 5:
		text := rapid.String().Draw(rt, "text")
		return tui.Typed{At: at, Text: text, Pos: rapid.IntRange(-2, 20).Draw(rt, "pos")}
	case 6:
		return tui.Saved{At: at, Path: rapid.String().Draw(rt, "path")}
	default:
		action := tui.Action(rapid.IntRange(0, int(tui.ToggleHelp)).Draw(rt, "action"))
		return tui.Pressed{At: at, Action: action}
	}
}
