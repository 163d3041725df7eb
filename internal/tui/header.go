package tui

import (
	"fmt"
	"strings"
	"time"

	"commerce.internal/orderctl/internal/inspect/lag"
)

const deadSpan = 5 * 60 // seconds over which new dead letters are told

// header is what stands on top: whose figures these are, whether they are true now, and the totals.
func (v *view) header() {
	v.put(between(v.name(), v.mark(), v.lay.W, v.g), false)
	banner := v.banner()
	switch {
	case banner != nil:
		v.put(banner, false)
		if v.lay.Header > 2 {
			v.add(v.old())
		}
	case v.lay.Size == Narrow:
		v.add(v.totals())
	default:
		v.add(v.totals())
		if v.lay.Header > 2 {
			v.add(v.side())
		}
	}
}

func (v *view) name() line {
	g := v.g
	l := say(strong, " orderctl top  ", title, g.foreign(v.s.Setup.Cluster))
	if v.s.Setup.Demo {
		l = say(strong, " orderctl top  ", warning, "DEMO")
	}
	sample := v.s.shown()
	if v.lay.Size == Wide && sample != nil && sample.Group.Brokers.Known {
		l = append(l, piece{fmt.Sprintf(" (%s)", plural(sample.Group.Brokers.V, "broker")), plain})
	}
	l = append(l, say("  group ", strong, g.foreign(v.s.Setup.Group))...)
	if v.s.Setup.Replay {
		l = append(l, piece{"  REPLAY", warning})
	}
	if sample == nil || sample.Group.Missing {
		return l
	}
	state := unknown
	if sample.Group.State.Known {
		state = g.foreign(sample.Group.State.V)
	}
	if v.dim {
		return append(l, piece{"  was " + state, plain})
	}
	members := unknown + " members"
	if sample.Group.Members.Known {
		members = plural(sample.Group.Members.V, "member")
	}
	return append(l, piece{"  " + state + ", " + members, plain})
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// mark says whether the numbers are those of now.
func (v *view) mark() line {
	s, g := v.s, v.g
	clock := plainPiece("  " + v.clockText(s.clock(), v.lay.Size == Wide))
	switch {
	case s.Paused != nil:
		word := fmt.Sprintf("%s PAUSED %s", g.Paused, age(wholeSeconds(s.Now.Sub(s.Paused.At).Seconds())))
		if s.Phase == PhaseStale {
			word += ", " + g.Bad + " STALE"
		}
		return append(say(warning, word), clock)
	case s.Phase == PhaseLive && v.lay.Size == Wide:
		return append(say(good, g.Live+" LIVE every "+span(s.Interval)), clock)
	case s.Phase == PhaseLive:
		return append(say(good, g.Live+" LIVE "+span(s.Interval)), clock)
	case s.Phase == PhaseStale:
		return append(say(bad, g.Bad+" STALE "+age(wholeSeconds(s.Now.Sub(s.Last.At).Seconds()))), clock)
	default:
		return append(say(warning, "CONNECTING"), clock)
	}
}

func plainPiece(s string) piece { return piece{s, plain} }

// banner is why the numbers are not those of now, and when that may change. nil: all is well.
func (v *view) banner() line {
	s, g := v.s, v.g
	sample := s.shown()
	switch {
	case s.Paused != nil && s.Phase == PhaseLive:
	case s.Fail.Tries > 0:
		text, next := g.foreign(strings.TrimSuffix(s.Fail.Text, ".")), fmt.Sprintf(". Try %d", s.Fail.Tries+1)
		if left := s.Fail.Next.Sub(s.Now).Seconds(); left > 0 {
			next += " in " + age(max(wholeSeconds(left), 1))
			if long := next + ". R: now"; 3+width(text)+len(long) <= v.lay.W {
				next = long
			}
		}
		return say(bad, " "+g.Bad+" "+g.cut(text, max(v.lay.W-3-len(next), 8))+next)
	case s.Phase == PhaseStale:
		return say(bad, " "+g.Bad+" Kafka: "+g.foreign(s.Fail.Text))
	}
	if sample != nil && sample.Group.Missing {
		return say(warning, " "+g.Warn+" the group does not exist yet; it is waited for")
	}
	if sample == nil {
		return say(faint, " asking Kafka")
	}
	return nil
}

// old is what was known last, with its age: rates of then say nothing about now.
func (v *view) old() line {
	sample := v.s.shown()
	if sample == nil || sample.Group.Missing {
		return say(" In ?   Out ?   Unread ?   Oldest ?   Retry ?   Parked ?   Dead ?")
	}
	l := say(" In ?   Out ?   Unread ", strong, unread(sample.Group, v.g))
	if since := v.s.clock().Sub(sample.At).Seconds(); v.dim {
		l = append(l, plainPiece(fmt.Sprintf(" (%s old)", age(wholeSeconds(since)))))
	}
	retry, parked, dead := v.pendingWords(*sample)
	return append(l, plainPiece("   Retry "+retry+"   Parked "+parked+"   Dead "+dead))
}

func unread(gr Group, g Glyphs) string {
	switch {
	case !gr.Unread.Known:
		return unknown
	case gr.AtLeast:
		return ">= " + digits(gr.Unread.V)
	default:
		return digits(gr.Unread.V)
	}
}

// totals is the second line.
func (v *view) totals() line {
	gr, g := v.s.shown().Group, v.g
	l := say(" In ", strong, bound(gr.RatesMin, perSecond(gr.In)), plain, v.gap()+"Out ", strong, bound(gr.RatesMin, perSecond(gr.Out)),
		plain, v.gap()+"Unread ", strong, unread(gr, g))
	if d := delta(gr.In, gr.Out); d.Known && !gr.RatesMin {
		switch {
		case d.V >= 0.05:
			l = append(l, piece{" " + g.Up + signed(d) + "/s", warning})
		case d.V <= -0.05:
			l = append(l, piece{" " + g.Down + signed(d) + "/s", good})
		}
	}
	l = append(l, say(v.gap()+"Oldest ", v.ageTone(gr), maybeAge(gr.Oldest))...)
	l = append(l, say(v.gap()+"ETA ", strong, eta(gr.Drain, gr.ETA))...)
	if v.lay.Size == Wide && gr.SLO > 0 {
		l = append(l, plainPiece(v.gap()+"SLO "+span(time.Duration(gr.SLO*float64(time.Second)))+breach(gr)))
	}
	verdict := say(v.gap(), toneOf(gr.Severity), gr.Severity)
	if grade(gr.Severity) > 0 && l.width()+verdict.width() <= v.lay.W {
		l = append(l, verdict...)
	}
	return l
}

func breach(gr Group) string {
	switch {
	case !gr.Breach.Known:
		return ", breach ?"
	case gr.Breach.V == "breached":
		return ", breached"
	case gr.BreachIn.Known:
		return ", breach in " + age(wholeSeconds(gr.BreachIn.V))
	default:
		return ", no breach in sight"
	}
}

func (v *view) gap() string {
	if v.lay.Size == Wide {
		return "     "
	}
	return "   "
}

func bound(atLeast bool, s string) string {
	if atLeast && s != unknown {
		return ">= " + s
	}
	return s
}

func (v *view) ageTone(gr Group) tone {
	switch {
	case !gr.Oldest.Known:
		return unsure
	case gr.SLO > 0 && gr.Oldest.V >= gr.SLO:
		return bad
	default:
		return strong
	}
}

// side is the third line: what the processes say of themselves, and what is pending.
func (v *view) side() line {
	sample := *v.s.shown()
	retry, parked, dead := v.pendingWords(sample)
	l, m, gap := line{}, sample.Metrics.V, "   "
	if v.lay.Size == Wide && sample.Metrics.Known {
		gap = "  "
		l = say(" API 202 ", strong, perSecond(m.Accepted), plain, "  4xx "+perSecond(m.Refused)+"  503 "+perSecond(m.Busy)+
			"  504 "+perSecond(m.InDoubt)+"  p99 "+latency(m.APIP99)+"   Handle p99 "+latency(m.WorkP99)+"  errors "+percent(m.Errors)+"  ")
	}
	next := ""
	if p := sample.Pending; p.Known && !p.V.NextDue.IsZero() && len(l) == 0 {
		next = ", next " + age(max(wholeSeconds(p.V.NextDue.Sub(v.s.edge()).Seconds()), 0))
	}
	l = append(l, say(" Retry ", strong, retry, plain, next+gap+"Parked ", strong, parked, plain, gap+"Dead ", strong, dead)...)
	if more, ok := v.newDead(sample); ok && more > 0 {
		l = append(l, piece{fmt.Sprintf(" %s+%s in 5m", v.g.Up, digits(more)), warning})
	}
	switch {
	case sample.Metrics.Known && v.lay.Size != Wide:
		l = append(l, plainPiece("   Err "+percent(m.Errors)+"   Handle p99 "+latency(m.WorkP99)))
	case sample.NoMetrics:
		l = append(l, piece{"   no metrics URL: --metrics-url", faint})
	case !sample.Metrics.Known:
		l = append(l, plainPiece("   Err ?   Handle p99 ?"))
	}
	return l
}

// newDead is how many letters were added in the last 5 minutes, as far as history goes back.
func (v *view) newDead(sample Sample) (int64, bool) {
	if !sample.Pending.Known {
		return 0, false
	}
	was, ok := v.s.shownHistory().since(seriesDead, v.s.edge().Add(-deadSpan*1e9))
	return sample.Pending.V.Dead - int64(was), ok
}

// pendingWords are Retry, Parked and Dead. Without a store the topics give bounds.
func (v *view) pendingWords(sample Sample) (retry, parked, dead string) {
	if p := sample.Pending; p.Known {
		old := ""
		if since := sample.At.Sub(p.V.At).Seconds(); since > 30 {
			old = " (" + age(wholeSeconds(since)) + " old)"
		}
		return digits(p.V.Retry), digits(p.V.Parked), digits(p.V.Dead) + old
	}
	tiers, letters := lag.Know[int64](0), lag.Maybe[int64]{}
	for _, r := range sample.Pinned {
		switch {
		case r.AtMost:
			letters = r.Unread
		case !r.Unread.Known:
			tiers = lag.Maybe[int64]{}
		case tiers.Known:
			tiers.V += r.Unread.V
		}
	}
	return v.atMost(tiers), unknown, v.atMost(letters)
}

func (v *view) atMost(m lag.Maybe[int64]) string {
	if !m.Known {
		return unknown
	}
	return v.g.Less + " " + digits(m.V)
}

func toneOf(severity string) tone {
	switch severity {
	case lag.SevCritical.String():
		return bad
	case lag.SevWarning.String():
		return warning
	case lag.SevUnknown.String():
		return unsure
	default:
		return good
	}
}
