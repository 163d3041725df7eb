package produce

import (
	"encoding/json"
	"time"
)

// Schema is the schema of a Report.
const Schema = "orderctl.produce/v1"

// Verdict is how a run ended.
type Verdict string

// The verdicts.
const (
	VerdictOK          Verdict = "ok"
	VerdictErrors      Verdict = "errors"      // records failed that were not expected to
	VerdictRate        Verdict = "rate-missed" // the asked rate was not reached, or records were dropped
	VerdictInterrupted Verdict = "interrupted" // before the asked end
)

// Report is what a run did. sent = acknowledged + not_sent + rejected + unknown, always.
type Report struct {
	Schema        string           `json:"schema"`
	RunID         string           `json:"run_id"`
	Seed          uint64           `json:"seed"`
	Target        string           `json:"target"`
	Schedule      string           `json:"schedule"`
	Window        Window           `json:"window"`
	AskedRate     *float64         `json:"asked_rate"`     // a second; null: none was asked
	AchievedRate  *float64         `json:"achieved_rate"`  // answered, a second; null: nothing was answered
	AchievedRatio *float64         `json:"achieved_ratio"` // of the asked rate; null: none was asked
	MinRate       float64          `json:"min_rate"`       // the least ratio that passes
	Sent          int64            `json:"sent"`
	Acknowledged  int64            `json:"acknowledged"`
	NotSent       int64            `json:"not_sent"` // certainly not written
	Rejected      int64            `json:"rejected"` // never will be; the expected ones among them
	Unknown       int64            `json:"unknown"`  // perhaps written
	Expected      int64            `json:"expected_rejections"`
	Dropped       int64            `json:"dropped"` // scheduled and not sent: too late
	Duplicates    int64            `json:"duplicates"`
	Poison        int64            `json:"poison"`
	Errors        map[string]int64 `json:"errors"`            // unexpected failures by code
	CPUPerRecord  *float64         `json:"cpu_us_per_record"` // of this process, microseconds; null: not known
	Verdict       Verdict          `json:"verdict"`
	Latency       Latency          `json:"latency_ms"`    // intended to answered
	SendDelay     Latency          `json:"send_delay_ms"` // intended to handed over
	Service       Latency          `json:"service_ms"`    // handed over to answered
}

// Window is when the run sent.
type Window struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Seconds float64   `json:"seconds"`
}

// Latency is a distribution in milliseconds. Values above a minute count as a minute, and as clamped. Without a value it is
// unknown: null, not 0.
type Latency struct {
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p999"`
	Max     float64 `json:"max"`
	Mean    float64 `json:"mean"`
	Count   int64   `json:"count"`
	Clamped int64   `json:"clamped"`
}

// MarshalJSON implements json.Marshaler.
func (l Latency) MarshalJSON() ([]byte, error) {
	type plain Latency
	if l.Count > 0 {
		return json.Marshal(plain(l))
	}
	return []byte(`{"p50":null,"p90":null,"p99":null,"p999":null,"max":null,"mean":null,"count":0,"clamped":0}`), nil
}

// Failures counts the records that failed and were not expected to.
func (r Report) Failures() int64 { return r.NotSent + r.Rejected + r.Unknown - r.Expected }

// ExitCode returns the exit code of the process: 130 when the run was cut, 1 for unexpected failures, 5 when the asked
// rate was missed, else 0.
func (r Report) ExitCode() int {
	switch r.Verdict {
	case VerdictInterrupted:
		return 130
	case VerdictErrors:
		return 1
	case VerdictRate:
		return 5
	}
	return 0
}

// Progress is what a run has done so far.
type Progress struct {
	Elapsed   time.Duration
	Asked     float64 // records a second; 0: no rate was asked
	Sent      float64 // records a second since the last report
	Acked     float64 // the same
	InFlight  int64
	Failures  int64
	Dropped   int64
	Total     int64   // records sent
	Latency   Latency // since the start
	SendDelay Latency
}

// conduct is how a run went, for its report.
type conduct struct {
	start, end time.Time
	cut        bool // ended by the caller before the asked end
	stopped    bool // ended by the caller
	cpu        time.Duration
	cpuKnown   bool
}

func (o Options) report(v view, c conduct) Report {
	r := Report{
		Schema: Schema, RunID: o.RunID, Seed: o.Seed, Target: o.target(), Schedule: o.schedule(), MinRate: o.MinRate,
		Sent: v.sent, Acknowledged: v.counts[acknowledged], NotSent: v.counts[notSent], Rejected: v.counts[rejected],
		Unknown: v.counts[unknown], Expected: v.expected, Dropped: v.dropped, Errors: v.codes,
		Latency: v.latency, SendDelay: v.sendDelay, Service: v.service,
	}
	window := max(v.lastAnswer, c.scheduled(o, v))
	r.Window = Window{Start: c.start.UTC(), End: c.start.Add(window).UTC(), Seconds: window.Seconds()}
	if answered := v.counts[acknowledged] + v.expected; answered > 0 && window > 0 {
		rate := float64(answered) / window.Seconds()
		r.AchievedRate = &rate
	}
	if !o.Rate.max && !o.Rate.IsZero() {
		asked, ratio := o.Rate.perSecond, 0.0
		if r.AchievedRate != nil {
			ratio = *r.AchievedRate / asked
		}
		r.AskedRate, r.AchievedRatio = &asked, &ratio
	}
	if c.cpuKnown && v.sent > 0 {
		each := float64(c.cpu.Microseconds()) / float64(v.sent)
		r.CPUPerRecord = &each
	}
	r.Verdict = r.verdict(c)
	return r
}

// scheduled is how long the schedule of what was sent is. The last record has its share of time like every other, else
// two records in two seconds would look like two a second.
func (c conduct) scheduled(o Options, v view) time.Duration {
	ran := c.end.Sub(c.start)
	if o.Rate.max || o.Rate.IsZero() {
		return 0
	}
	if c.stopped {
		return ran
	}
	return o.Rate.at(v.sent + v.dropped)
}

func (r Report) verdict(c conduct) Verdict {
	switch {
	case c.cut:
		return VerdictInterrupted
	case r.Failures() > 0:
		return VerdictErrors
	case r.Dropped > 0, r.AchievedRatio != nil && r.Sent > 0 && *r.AchievedRatio < r.MinRate:
		return VerdictRate
	}
	return VerdictOK
}
