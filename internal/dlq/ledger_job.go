package dlq

import (
	"encoding/json"
	"fmt"
	"time"

	"commerce.internal/orderctl/internal/queue"
)

const (
	jobPrefix = "job/"
	// jobFresh is how long a running job that says nothing is taken to run: six of its signs of life.
	jobFresh = 30 * time.Second
	jobBeat  = 5 * time.Second
)

// JobState is how far a job has come.
type JobState string

// The states of a job.
const (
	JobRunning     JobState = "running"
	JobFinished    JobState = "finished"
	JobInterrupted JobState = "interrupted" // by its operator
	JobFailed      JobState = "failed"
)

// JobKind is what a job does with its letters.
type JobKind string

// The kinds of jobs.
const (
	KindReplay  JobKind = "replay"
	KindDiscard JobKind = "discard"
	KindUndo    JobKind = "undo"
)

// JobEntry is what the ledger says of one job. Its record lies in partition 0 of the audit topic under the key "job/<id>".
type JobEntry struct {
	Schema     string    `json:"schema"`
	ID         string    `json:"job"`
	Kind       JobKind   `json:"kind"`
	State      JobState  `json:"state"`
	Planned    int       `json:"planned"`
	Done       int       `json:"done"`
	Skipped    int       `json:"skipped"`
	Intent     *Intent   `json:"intent,omitempty"` // the batch in hand; nil: none
	Run        string    `json:"run"`              // the process that writes it
	Term       int       `json:"term"`             // grows with each takeover: an entry of an earlier term is void
	Operator   string    `json:"operator"`
	Host       string    `json:"host"`
	Version    string    `json:"version"`
	Reason     string    `json:"reason,omitempty"`
	PlanSHA256 string    `json:"plan_sha256"`
	Began      time.Time `json:"began"`
	At         time.Time `json:"at"` // of the last sign of life
}

// Intent is a batch that is about to be sent: which letters, and where the logs of their targets ended before. Who finds it
// without the entries of its letters looks there for what was sent.
type Intent struct {
	Batch   int              `json:"batch"` // from 1
	Letters []string         `json:"letters"`
	Ends    map[string]int64 `json:"ends"` // topic/partition: the offset of the next record
}

// running reports whether the job runs in a process that was alive a moment ago.
func (j JobEntry) running(now time.Time) bool {
	return j.State == JobRunning && now.Sub(j.At) < jobFresh
}

func (l *Ledger) addJob(id string, value []byte) {
	if value == nil {
		delete(l.jobs, id)
		return
	}
	var j JobEntry
	if json.Unmarshal(value, &j) != nil || j.Schema != LedgerSchema || j.State == "" {
		return
	}
	j.ID = id
	if j.Term < l.jobs[id].Term {
		return // a last word of a process whose job was taken over
	}
	l.jobs[id] = j
}

// record is the entry as it is written.
func (j JobEntry) record(ledger string, now time.Time) (queue.Message, error) {
	j.Schema, j.At = LedgerSchema, now.UTC()
	value, err := json.Marshal(j)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encode ledger entry of job %s: %w", j.ID, err)
	}
	return queue.Message{Topic: ledger, Partition: 0, Key: []byte(jobPrefix + j.ID), Value: value, Time: now}, nil
}
