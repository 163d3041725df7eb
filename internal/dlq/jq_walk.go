package dlq

import (
	"slices"

	"github.com/itchyny/gojq"
)

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
