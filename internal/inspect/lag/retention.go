package lag

import (
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// The shares of its retention that a backlog may use up.
const (
	riskTime     = 0.20 // of the time that is left
	riskTimeCrit = 0.05
	riskBytes    = 0.80 // of a log whose size is limited
)

func compacted(t TopicObs) bool { return strings.Contains(t.Cleanup, "compact") }

// retention tells when the topic may begin to delete what the group has not read. Segments go whole, so it is never
// before that.
func (v *view) retention(r *Row, o offsets, t TopicObs) {
	if r.Role != queue.RoleSource || !r.Unread.Known || r.Unread.V == 0 || t.Cleanup == "compact" {
		return
	}
	if t.Retention.Known && t.Retention.V >= 0 && r.Oldest.Known {
		r.LossEarliest = inSeconds(max(0, t.Retention.V-Seconds(r.Oldest.V)))
		r.kept = t.Retention.V
	}
	if !t.RetentionBytes.Known || t.RetentionBytes.V < 0 {
		return
	}
	whole := over(o.high, o.start)
	if used := over(o.high, o.from); used.Known && whole.Known && whole.V > 0 {
		r.RetentionUsed = Know(float64(used.V) / float64(whole.V))
	}
}

// atRisk tells how near the backlog is to being deleted unread.
func (r *Row) atRisk() Severity {
	left := 1.0
	if r.LossEarliest.Known && r.kept > 0 {
		left = r.LossEarliest.V / r.kept.Seconds()
	}
	switch {
	case left < riskTimeCrit:
		return SevCritical
	case left < riskTime, r.RetentionUsed.Known && r.RetentionUsed.V >= riskBytes:
		return SevWarning
	}
	return SevOK
}
