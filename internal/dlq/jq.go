package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/itchyny/gojq"
)

// jqLimit bounds one evaluation: an expression may never end.
const jqLimit = time.Second

// Query is a jq expression over letters. It is for one goroutine.
type Query struct {
	code   *gojq.Code
	now    func() time.Time
	failed int
	first  error
}

// QueryError says why an expression is none.
type QueryError struct {
	Member string // one that no letter has; "": the syntax is wrong
	Err    error  // nil with a member
}

// Error implements error.
func (e *QueryError) Error() string {
	if e.Member != "" {
		return fmt.Sprintf("a letter has no member %q", e.Member)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *QueryError) Unwrap() error { return e.Err }

// ParseQuery reads a jq expression. One that asks for a member which no letter has is refused: it would choose nothing and
// say nothing.
func ParseQuery(expr string, now func() time.Time) (*Query, error) {
	parsed, err := gojq.Parse(expr)
	if err != nil {
		return nil, &QueryError{Err: err}
	}
	var w walker
	w.query(parsed, true)
	if w.unknown != "" {
		return nil, &QueryError{Member: w.unknown}
	}
	code, err := gojq.Compile(parsed, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, &QueryError{Err: err}
	}
	return &Query{code: code, now: now}, nil
}

// Failed returns for how many letters the expression could not be evaluated, and why the first time.
func (q *Query) Failed() (int, error) {
	if q == nil {
		return 0, nil
	}
	return q.failed, q.first
}

// match reports whether the expression gives true for a letter. One that fails gives nothing and is counted; the error is
// that of ctx alone.
func (q *Query) match(ctx context.Context, l Letter) (bool, error) {
	if q == nil {
		return true, nil
	}
	limited, cancel := context.WithTimeout(ctx, jqLimit)
	defer cancel()
	results := q.code.RunWithContext(limited, asked(l, q.now()))
	for {
		v, more := results.Next()
		if !more {
			return false, nil
		}
		if err, isError := v.(error); isError {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			q.failed++
			if q.first == nil {
				q.first = err
			}
			return false, nil
		}
		if v == true {
			return true, nil
		}
	}
}

// Members returns the members that a letter has in a jq expression.
func Members() []string {
	return []string{
		"id", "age_seconds", "time", "class", "code", "message", "dialect", "state", "job", "attempts", "replays", "size", "msg_id", "order_id",
		"user_id", "status", "topic", "partition", "offset", "group", "first_failure", "last_failure", "blocked_by", "headers", "body",
	}
}

// asked is a letter as a jq expression sees it. What is not known is null.
func asked(l Letter, now time.Time) map[string]any {
	t := l.Trail
	body := decoded(l)
	headers := map[string]any{}
	for _, h := range l.Headers {
		headers[h.Name] = string(h.Value)
	}
	origin := func(n int64) any {
		if n < 0 {
			return nil
		}
		return int(n)
	}
	m := map[string]any{
		"id": l.ID.String(), "age_seconds": int(now.Sub(l.Time) / time.Second), "time": stampOrNil(l.Time), "class": orNil(string(t.Class)),
		"code": orNil(t.Code), "message": orNil(t.Message), "dialect": orNil(l.Dialect), "state": string(l.State), "job": orNil(l.Job()),
		"attempts": t.Attempts, "replays": t.ReplayCount, "size": l.Size, "msg_id": orNil(t.MsgID), "order_id": orNil(l.OrderID()),
		"user_id": nil, "status": nil, "topic": orNil(t.Origin.Topic), "partition": origin(int64(t.Origin.Partition)),
		"offset": origin(t.Origin.Offset), "group": orNil(t.Group), "first_failure": stampOrNil(t.FirstFailure),
		"last_failure": stampOrNil(t.LastFailure), "blocked_by": orNil(t.BlockedBy), "headers": headers, "body": body,
	}
	if o, is := body.(map[string]any); is {
		for _, name := range []string{"user_id", "status"} {
			if s, is := o[name].(string); is {
				m[name] = s
			}
		}
	}
	return m
}

// decoded is the order of a letter as jq sees it, nil for what is no JSON.
func decoded(l Letter) any {
	dec := json.NewDecoder(bytes.NewReader(readable(l)))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return nil
	}
	return v
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func stampOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
