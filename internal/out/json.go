package out

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"commerce.internal/orderctl/internal/text"
)

// WriteJSON writes v as one indented document. What a terminal might obey or a reader might not see stands as \u....
// in it.
func WriteJSON(w io.Writer, v any) error {
	b, err := encode(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// WriteLine writes v as one line of jsonl.
func WriteLine(w io.Writer, v any) error {
	b, err := encode(v, "")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func writeLines(w io.Writer, t Table, doc any) error {
	var lines []any
	switch d := doc.(type) {
	case Liner:
		lines = d.Lines()
	case nil:
		lines = t.lines()
	default:
		lines = []any{doc}
	}
	for _, l := range lines {
		if err := WriteLine(w, l); err != nil {
			return err
		}
	}
	return nil
}

func encode(v any, indent string) ([]byte, error) {
	compact, err := plain(v)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	if indent == "" {
		return append(escape(compact), '\n'), nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", indent); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	b.WriteByte('\n')
	return escape(b.Bytes()), nil
}

// plain is json.Marshal without the escapes that only HTML needs.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// escape writes runes that are not graphic as \u....: outside strings JSON has none but the white space that the
// encoder itself put there, so the whole text can be walked.
func escape(b []byte) []byte {
	clean := true
	for _, c := range b {
		if c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return b
	}
	dst := make([]byte, 0, len(b)+len(b)/8)
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r < 0x7f || strconv.IsGraphic(r) {
			dst = append(dst, b[i:i+size]...)
		} else if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, hi, lo)
		} else {
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		i += size
	}
	return dst
}

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, m.name)
		b = append(b, ':')
		v, err := plain(m.value)
		if err != nil {
			return nil, err
		}
		b = append(b, v...)
	}
	return append(b, '}'), nil
}

// document is the JSON of a table whose command has no value of its own.
func (t Table) document() object {
	rows := make([]object, len(t.Rows)) // never null
	for i, row := range t.Rows {
		rows[i] = t.object(row)
	}
	list := t.List
	if list == "" {
		list = "rows"
	}
	return object{{"schema", t.Schema}, {list, rows}}
}

func (t Table) lines() []any {
	lines := make([]any, len(t.Rows))
	for i, row := range t.Rows {
		lines[i] = append(object{{"schema", t.Schema}}, t.object(row)...)
	}
	return lines
}

func (t Table) object(row []Cell) object {
	o := object{}
	for i, c := range row {
		name := t.Columns[i].JSON
		switch {
		case c.state == notApplicable:
		case c.state == unknown:
			o = append(o, member{name, nil})
		case c.kind == KindText && !utf8.ValidString(c.text):
			// U+FFFD would be another text; the bytes stand in a member of their own.
			o = append(o, member{name + "_base64", base64.StdEncoding.EncodeToString([]byte(c.text))})
		default:
			o = append(o, member{name, c.value()})
		}
	}
	return o
}

// value is the cell as JSON has it: numbers as numbers, durations in seconds, times in RFC 3339.
func (c Cell) value() any {
	switch c.kind {
	case KindInt, KindBytes:
		return c.int
	case KindNumber, KindRatio:
		return c.float
	case KindDuration:
		return json.Number(seconds(time.Duration(c.int)))
	case KindTime:
		return c.time.UTC().Format(time.RFC3339Nano)
	case KindBool:
		return c.int == 1
	default:
		return c.text
	}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// csv prints the table by RFC 4180, with line feeds. Spreadsheets run text that begins with = + - or @, so such text
// gets an apostrophe; numbers do not.
func (t Table) csv(b *bytes.Buffer, o Options) error {
	w := csv.NewWriter(b)
	record := make([]string, len(t.Columns))
	if !o.NoHeader {
		for i, c := range t.Columns {
			record[i] = c.JSON
		}
		if err := w.Write(record); err != nil {
			return fmt.Errorf("write csv: %w", err)
		}
	}
	for _, row := range t.Rows {
		for i, c := range row {
			record[i] = c.csv()
		}
		if err := w.Write(record); err != nil {
			return fmt.Errorf("write csv: %w", err)
		}
	}
	w.Flush()
	return w.Error()
}

func (c Cell) csv() string {
	if c.state != known {
		return ""
	}
	if c.kind == KindText {
		s := text.Safe(c.text)
		if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
			return "'" + s
		}
		return s
	}
	switch v := c.value().(type) {
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}
