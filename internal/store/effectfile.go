package store

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"commerce.internal/orderctl/internal/queue"
)

// effectStatement is one of the operator's statements in the words of the database.
type effectStatement struct {
	text   string
	params []string // the names of its parameters, in order
	line   int      // where it begins in the file
}

// readEffectFile reads the operator's statements. It refuses what would end the transaction or could never run.
func readEffectFile(d dialect, path string) ([]effectStatement, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("consume.effect_file: %v", err)}
	}
	list, err := parseEffect(d.syntax(), string(raw))
	if err != nil {
		return nil, &UsageError{Text: fmt.Sprintf("%s:%v", path, err), Help: effectHelp()}
	}
	return list, nil
}

func effectHelp() string {
	return "an effect file holds INSERT, UPDATE or DELETE statements; its parameters are :" + strings.Join(effectParams(), " :")
}

func effectParams() []string {
	return []string{
		"order_id", "user_id", "status", "currency", "total_amount", "items", "order", "message_id", "timestamp",
	}
}

// effectVerbs may begin a statement. No other may: a COMMIT or a PRAGMA in the middle of the transaction would tear the
// effect from the row that remembers it.
func effectVerbs() []string {
	return []string{"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "SELECT", "CALL"}
}

// parseEffect splits a file into statements. Its errors begin with the line.
func parseEffect(y syntax, file string) ([]effectStatement, error) {
	var out []effectStatement
	sc := scanner{syntax: y, sql: file, line: 1}
	for {
		st, more, err := sc.statement()
		if err != nil {
			return nil, err
		}
		if st.text != "" {
			if verb := firstWord(st.text); !slices.Contains(effectVerbs(), verb) {
				return nil, fmt.Errorf("%d: %s is not allowed here", st.line, verb)
			}
			out = append(out, st)
		}
		if !more {
			break
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%d: there is no statement", sc.line)
	}
	return out, nil
}

func firstWord(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' })
	if end == 0 {
		return queue.Cut(s, 20)
	}
	if end < 0 {
		end = len(s)
	}
	return strings.ToUpper(s[:end])
}

// prepareEffect lets the database check the operator's statements against its tables.
func (x *session) prepareEffect(ctx context.Context, path string) error {
	for _, st := range x.store.effect {
		if err := x.prepare(ctx, st.text); err != nil {
			if !meaning(x.store.dialect, err).ours {
				return startError(x.store.dialect, err)
			}
			return &UsageError{Text: fmt.Sprintf("%s:%d: %v", path, st.line, err), Help: effectHelp()}
		}
	}
	return nil
}

// effects are the operator's statements for one order.
func (s *Store) effects(c *change) []statement {
	list := make([]statement, len(s.effect))
	for i, st := range s.effect {
		args := make([]any, len(st.params))
		for n, name := range st.params {
			args[n] = effectArg(name, c.Effect)
		}
		list[i] = statement{text: st.text, args: args, index: c.index, operators: true}
	}
	return list
}

// runEffect runs the operator's statements for one order.
func (x *session) runEffect(ctx context.Context, c *change) error {
	for i, st := range x.store.effects(c) {
		if _, err := x.exec(ctx, st.text, st.args...); err != nil {
			return fmt.Errorf("statement in line %d of the effect file: %w", x.store.effect[i].line, err)
		}
	}
	return nil
}

// numeric reports whether a parameter is a number.
func numeric(param string) bool { return param == "total_amount" || param == "timestamp" }

func effectArg(name string, e *queue.Effect) any {
	o := &e.Order
	switch name {
	case "order_id":
		return o.OrderID
	case "user_id":
		return o.UserID
	case "status":
		return string(o.Status)
	case "currency":
		return o.Currency
	case "total_amount":
		return o.TotalAmount
	case "items":
		return itemsJSON(o.Items)
	case "order":
		if e.Value == nil {
			return string(o.AppendJSON(nil))
		}
		return string(e.Value)
	case "message_id":
		return e.MessageID
	default: // the names were checked when the file was read
		return o.Timestamp
	}
}
