package dlq

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"commerce.internal/orderctl/internal/order"
	"commerce.internal/orderctl/internal/queue"
)

// Edit is the value that a letter is replayed with in place of its own. Its key, its order and its identity stay.
type Edit struct {
	Value   []byte   `json:"value_base64"`
	SHA256  string   `json:"sha256"` // of Value
	How     []string `json:"how"`
	Changes []Change `json:"changes"`
}

// Change is one member that an edit changed: before and after as JSON, empty where there is none.
type Change struct {
	Pointer string `json:"pointer"` // RFC 6901
	Before  string `json:"before,omitempty"`
	After   string `json:"after,omitempty"`
}

// Editor changes one value. An order comes as JSON, also one in Protobuf; what is no order comes as its bytes. An empty
// answer leaves the letter out.
type Editor interface {
	Edit(ctx context.Context, id ID, value []byte) ([]byte, error)
	String() string // as the operator asked for it
}

// EditError says that an edit cannot be used. Nothing was planned.
type EditError struct {
	ID  ID
	Err error
}

// Error implements error.
func (e *EditError) Error() string { return fmt.Sprintf("edit dead letter %s: %v", e.ID, e.Err) }

// Unwrap returns the cause.
func (e *EditError) Unwrap() error { return e.Err }

// edit lets the editors change the letters, one after the other, and drops those that they leave out.
func (p *Planner) edit(ctx context.Context, letters []slim) ([]slim, error) {
	if len(p.Edits) == 0 {
		return letters, nil
	}
	for i := range letters {
		whole, err := p.Reader.At(ctx, letters[i].ID)
		if err != nil {
			return nil, err
		}
		if whole.Lost {
			continue
		}
		if err := p.editOne(ctx, &letters[i], whole); err != nil {
			return nil, &EditError{ID: letters[i].ID, Err: err}
		}
	}
	return slices.DeleteFunc(letters, func(l slim) bool { return l.drop }), nil
}

func (p *Planner) editOne(ctx context.Context, l *slim, whole Letter) error {
	kind, _ := queue.First(whole.Headers, queue.HeaderContentType)
	before := readable(whole)
	value := before
	edit := &Edit{Changes: []Change{}}
	for _, e := range p.Edits {
		next, err := e.Edit(ctx, l.ID, value)
		if err != nil {
			return fmt.Errorf("%s: %w", e, err)
		}
		if len(bytes.TrimSpace(next)) == 0 {
			l.drop = true
			return nil
		}
		value = next
		edit.How = append(edit.How, e.String())
	}
	if bytes.Equal(value, before) {
		return nil
	}
	value, err := p.encode(kind, value, whole, before)
	if err != nil {
		return err
	}
	if l.wrong = p.Check != nil && p.Check(kind, value) != nil; l.wrong {
		l.unhelped = true // one of many that the edit does not help: still invalid
		return nil
	}
	sum := sha256.Sum256(value)
	edit.Value, edit.SHA256, edit.Changes = value, hex.EncodeToString(sum[:]), changes(before, readable(Letter{Value: value, Headers: whole.Headers}))
	l.edit = edit
	return nil
}

// encode writes an edited order as its content type asks for. What names the order must stay.
func (p *Planner) encode(kind string, value []byte, whole Letter, before []byte) ([]byte, error) {
	value = bytes.TrimSpace(value)
	o, err := order.Parse(queue.ContentJSON, value, order.KeepUnknown)
	if err != nil {
		return nil, fmt.Errorf("the result is no order: %w", err)
	}
	id := whole.OrderID()
	if was, err := order.Parse(queue.ContentJSON, before, order.KeepUnknown); err == nil && was.OrderID != "" {
		id = was.OrderID
	}
	if o.OrderID != id {
		return nil, fmt.Errorf("the order id cannot change: it is %q and would be %q", id, o.OrderID)
	}
	if kind == queue.ContentProtobuf {
		if value, err = o.MarshalProto(); err != nil {
			return nil, fmt.Errorf("write the result as Protobuf: %w", err)
		}
	}
	return value, nil
}

// changes tells which members differ, by pointer.
func changes(before, after []byte) []Change {
	b, a := leaves(before), leaves(after)
	names := map[string]bool{}
	for name := range b {
		names[name] = true
	}
	for name := range a {
		names[name] = true
	}
	found := []Change{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if b[name] != a[name] {
			found = append(found, Change{Pointer: name, Before: b[name], After: a[name]})
		}
	}
	return found
}

// leaves are the values of a document that hold no others, by pointer. What is no JSON is one leaf.
func leaves(doc []byte) map[string]string {
	found := map[string]string{}
	var v any
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return map[string]string{"": strconv.QuoteToASCII(string(doc))}
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				walk(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), member)
			}
		case []any:
			for i, element := range v {
				walk(at+"/"+strconv.Itoa(i), element)
			}
		default:
			text, _ := json.Marshal(v) // a scalar
			found[at] = string(text)
		}
	}
	walk("", v)
	return found
}
