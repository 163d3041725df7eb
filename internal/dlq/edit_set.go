package dlq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// setter is --set '/status="PAID"': a JSON pointer (RFC 6901) and the value that it shall have.
type setter struct {
	text  string
	path  []string
	value jsontext.Value
}

// ParseSet reads "/pointer=JSON".
func ParseSet(s string) (Editor, error) {
	pointer, value, found := strings.Cut(s, "=")
	if !found || !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf(`%q is no change; write POINTER=JSON, such as '/status="PAID"'`, s)
	}
	v := jsontext.Value(value)
	if !v.IsValid() {
		return nil, fmt.Errorf(`%q is no JSON value; a text needs its quotes: '%s="%s"'`, value, pointer, value)
	}
	e := setter{text: "--set " + s, value: v}
	for part := range strings.SplitSeq(pointer[1:], "/") {
		e.path = append(e.path, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
	}
	return e, nil
}

// String is the change as it was asked for.
func (e setter) String() string { return e.text }

// Edit implements Editor.
func (e setter) Edit(_ context.Context, _ ID, value []byte) ([]byte, error) {
	if !jsontext.Value(value).IsValid() {
		return nil, errors.New("the value is no JSON; --transform gets its bytes")
	}
	return setAt(value, e.path, e.value)
}

// setAt returns doc with the value at path replaced. A last member that is not there is added; other bytes stay as they are
// but for white space.
func setAt(doc jsontext.Value, path []string, v jsontext.Value) (jsontext.Value, error) {
	if len(path) == 0 {
		return v, nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	open, err := dec.ReadToken()
	if err != nil {
		return nil, fmt.Errorf("read value: %w", err)
	}
	switch open.Kind() {
	case '{':
		return setMember(dec, path, v)
	case '[':
		return setElement(dec, path, v)
	default:
		return nil, fmt.Errorf("/%s leads into a %s", strings.Join(path, "/"), open.Kind())
	}
}

func setMember(dec *jsontext.Decoder, path []string, v jsontext.Value) (jsontext.Value, error) {
	out, set := jsontext.Value("{"), false
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("read name: %w", err)
		}
		name = name.Clone()
		member, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("read member %s: %w", name, err)
		}
		if plain, err := jsontext.AppendUnquote(nil, name); err == nil && string(plain) == path[0] {
			if member, err = setAt(member, path[1:], v); err != nil {
				return nil, err
			}
			set = true
		}
		out = appendPart(out, append(append(name, ':'), member...))
	}
	if set {
		return append(out, '}'), nil
	}
	if len(path) > 1 {
		return nil, fmt.Errorf("there is no member %q", path[0])
	}
	name, err := jsontext.AppendQuote(nil, path[0])
	if err != nil {
		return nil, fmt.Errorf("quote %q: %w", path[0], err)
	}
	return append(appendPart(out, append(append(name, ':'), v...)), '}'), nil
}

func setElement(dec *jsontext.Decoder, path []string, v jsontext.Value) (jsontext.Value, error) {
	out, set := jsontext.Value("["), false
	for n := 0; dec.PeekKind() != ']'; n++ {
		element, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("read element %d: %w", n, err)
		}
		if strconv.Itoa(n) == path[0] {
			if element, err = setAt(element, path[1:], v); err != nil {
				return nil, err
			}
			set = true
		}
		out = appendPart(out, element)
	}
	switch {
	case set:
	case path[0] == "-" && len(path) == 1: // RFC 6901: the one after the last
		out = appendPart(out, v)
	default:
		return nil, fmt.Errorf("there is no element %q", path[0])
	}
	return append(out, ']'), nil
}

func appendPart(out, part jsontext.Value) jsontext.Value {
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(out, part...)
}
