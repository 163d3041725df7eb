package serve

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"commerce.internal/orderctl/internal/order"
)

// errBatchSize says that a batch holds no order, or too many.
var errBatchSize = errors.New("batch size")

// splitArray cuts a JSON array into its elements, each a slice of the body. The error is errBatchSize, *order.Malformed or
// *order.Invalid.
func splitArray(body []byte, limit int) ([][]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	kind := d.PeekKind()
	if kind != jsontext.KindBeginArray && kind != jsontext.KindInvalid {
		return nil, notAnArray(d)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, malformed(err, d)
	}
	var raws [][]byte
	count := 0
	for d.PeekKind() != jsontext.KindEndArray {
		v, err := d.ReadValue()
		if err != nil {
			return nil, malformed(err, d)
		}
		end := d.InputOffset()
		if count++; count <= limit { // the rest is read all the same: it may be malformed
			raws = append(raws, body[end-int64(len(v)):end:end])
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, malformed(err, d)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &order.Malformed{Detail: "there is more after the array", Offset: d.InputOffset()}
	}
	return sized(raws, count, limit)
}

// notAnArray tells a well-formed document of another kind from one that is malformed.
func notAnArray(d *jsontext.Decoder) error {
	if _, err := d.ReadValue(); err != nil {
		return malformed(err, d)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return &order.Malformed{Detail: "there is more than one document", Offset: d.InputOffset()}
	}
	return &order.Invalid{Violations: []order.Violation{{Pointer: "#", Code: "type", Detail: "must be an array of orders"}}}
}

func malformed(err error, d *jsontext.Decoder) error {
	detail := "not well-formed JSON"
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		detail = syntax.Err.Error()
	} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		detail = "the document is not complete"
	}
	return &order.Malformed{Detail: detail, Offset: d.InputOffset()}
}

// splitLines cuts newline-delimited JSON into its lines; blank ones do not count.
func splitLines(body []byte, limit int) ([][]byte, error) {
	var raws [][]byte
	count := 0
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if count++; count > limit {
			break
		}
		raws = append(raws, line[:len(line):len(line)])
	}
	return sized(raws, count, limit)
}

func sized(raws [][]byte, count, limit int) ([][]byte, error) {
	if count < 1 || count > limit {
		return nil, errBatchSize
	}
	return raws, nil
}
