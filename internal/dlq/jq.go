package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// walker looks through a parsed expression for members of the letter that do not exist. It follows the letter only where it
// is certain that the input is the letter, so that it never refuses what is right.
type walker struct {
	unknown string
}

func (w *walker) member(name string) {
	if name != "" && w.unknown == "" && !slices.Contains(Members(), name) {
		w.unknown = name
	}
}

// query walks over q, whose input is the letter when root is set. It reports whether all that q gives is the letter.
func (w *walker) query(q *gojq.Query, root bool) bool {
	switch {
	case q == nil || len(q.FuncDefs) > 0: // a function of the expression's own may be called with anything
		return false
	case q.Term != nil:
		return w.term(q.Term, root)
	case q.Op == gojq.OpPipe:
		left := w.query(q.Left, root)
		return w.query(q.Right, left || root && len(q.Patterns) > 0) // `X as $v | ...` keeps its input
	case q.Op == gojq.OpComma:
		left, right := w.query(q.Left, root), w.query(q.Right, root)
		return left && right
	}
	w.query(q.Left, root)
	if q.Op < gojq.OpModify || q.Op > gojq.OpUpdateAlt {
		w.query(q.Right, root)
	}
	return false
}

func (w *walker) term(t *gojq.Term, root bool) bool {
	out := root && t.Type == gojq.TermTypeIdentity
	switch t.Type {
	case gojq.TermTypeIndex:
		w.index(t.Index, root)
	case gojq.TermTypeQuery:
		out = w.query(t.Query, root)
	case gojq.TermTypeFunc:
		out = w.call(t.Func, root)
	case gojq.TermTypeUnary:
		w.term(t.Unary.Term, root)
	case gojq.TermTypeArray:
		w.query(t.Array.Query, root)
	case gojq.TermTypeObject:
		w.object(t.Object, root)
	case gojq.TermTypeString, gojq.TermTypeFormat:
		w.text(t.Str, root)
	case gojq.TermTypeIf:
		w.branches(t.If, root)
	case gojq.TermTypeTry:
		w.query(t.Try.Body, root)
	case gojq.TermTypeReduce:
		w.query(t.Reduce.Query, root)
		w.query(t.Reduce.Start, root)
	case gojq.TermTypeForeach:
		w.query(t.Foreach.Query, root)
		w.query(t.Foreach.Start, root)
	case gojq.TermTypeLabel:
		w.query(t.Label.Body, root)
	}
	for _, s := range t.SuffixList {
		if s.Index != nil {
			w.index(s.Index, out)
			w.inside(s.Index, root)
		}
		out = out && s.Index == nil && !s.Iter
	}
	return out
}

func (w *walker) index(x *gojq.Index, root bool) {
	if !root {
		return
	}
	w.member(x.Name)
	if x.Str != nil && len(x.Str.Queries) == 0 {
		w.member(x.Str.Str)
	}
	if x.Start != nil && !x.IsSlice && x.Start.Term != nil && x.Start.Term.Str != nil && len(x.Start.Term.Str.Queries) == 0 {
		w.member(x.Start.Term.Str.Str) // ."a" is ["a"]
	}
	w.inside(x, root)
}

// inside walks over what stands in brackets, which sees the input of the whole term.
func (w *walker) inside(x *gojq.Index, root bool) {
	w.text(x.Str, root)
	w.query(x.Start, root)
	w.query(x.End, root)
}

func (w *walker) text(s *gojq.String, root bool) {
	if s == nil {
		return
	}
	for _, q := range s.Queries {
		w.query(q, root)
	}
}

// call walks over the arguments that see the input of the call. Only select gives it on.
func (w *walker) call(f *gojq.Func, root bool) bool {
	switch {
	case len(f.Args) == 1 && slices.Contains([]string{"select", "first", "last", "isempty", "error", "startswith", "endswith", "contains", "inside", "test", "match", "has", "IN"}, f.Name):
		w.query(f.Args[0], root)
	case len(f.Args) == 2 && slices.Contains([]string{"any", "all", "limit", "IN"}, f.Name):
		at := 0
		if f.Name == "limit" {
			at = 1
		}
		w.query(f.Args[at], root)
	}
	return root && f.Name == "select"
}

func (w *walker) object(o *gojq.Object, root bool) {
	for _, kv := range o.KeyVals {
		if root && kv.Val == nil && kv.KeyString == nil && (kv.Key == "" || kv.Key[0] != '$') {
			w.member(kv.Key) // {class} is {class: .class}
		}
		w.text(kv.KeyString, root)
		w.query(kv.KeyQuery, root)
		w.query(kv.Val, root)
	}
}

func (w *walker) branches(i *gojq.If, root bool) {
	w.query(i.Cond, root)
	w.query(i.Then, root)
	for _, e := range i.Elif {
		w.query(e.Cond, root)
		w.query(e.Then, root)
	}
	w.query(i.Else, root)
}
