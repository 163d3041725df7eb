package obs

import "time"

// Status is how well something is.
type Status string

// The statuses of a check, from good to bad.
const (
	Pass Status = "pass"
	Warn Status = "warn" // not as it should be, but the process does its work as far as it can
	Fail Status = "fail"
)

// Probe is a question that an orchestrator asks.
type Probe uint8

// The probes. A check may take part in several.
const (
	Live    Probe = 1 << iota // shall the process be restarted
	Ready                     // shall it get new work
	Startup                   // has it started
)

// Check is what one part of the process says about itself. Report reads state that is known already: it opens no
// connection and does not wait.
type Check struct {
	Name   string
	Probes Probe // where a Fail counts; /health shows every check
	Report func() Health
}

// Health is the answer of a check.
type Health struct {
	Status Status
	Since  time.Time // zero: since the status was first seen
	Err    error
}
