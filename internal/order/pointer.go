package order

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxNameRunes    = 64  // of a sender's own name in a pointer
	maxPointerBytes = 512 // of a pointer
)

// pointer writes a JSON pointer as a URI fragment (RFC 6901 section 6). What a sender names himself is cut, so that an
// answer stays small, and encoded, so that it is ASCII and safe wherever it is shown.
func pointer(p jsontext.Pointer) string {
	b := []byte{'#'}
	for token := range p.Tokens() {
		b = appendFragment(append(b, '/'), cut(token, maxNameRunes))
		if len(b) > maxPointerBytes {
			break
		}
	}
	return string(b)
}

// fragment encodes one name as a token of a pointer.
func fragment(name string) string { return string(appendFragment(nil, cut(name, maxNameRunes))) }

func appendFragment(b []byte, token string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(token) {
		switch c := token[i]; {
		case c == '~':
			b = append(b, "~0"...)
		case c == '/':
			b = append(b, "~1"...)
		case isAlnum(c), strings.IndexByte("-._!$&'()*+,;=:@?", c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// cut returns at most n characters of s.
func cut(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// malformedJSON says in our own words why bytes are not one JSON document.
func malformedJSON(b []byte, whole bool, err error) *Malformed {
	var syntax *jsontext.SyntacticError
	at := int64(-1)
	if errors.As(err, &syntax) {
		at = syntax.ByteOffset
	}
	switch {
	case len(b) == 0:
		return &Malformed{Detail: "the document is empty", Offset: 0}
	case strings.HasPrefix(string(b[:min(3, len(b))]), "\xef\xbb\xbf"):
		return &Malformed{Detail: "the document begins with a byte order mark", Offset: 0}
	case !utf8.Valid(b):
		return &Malformed{Detail: "the document is not UTF-8", Offset: invalidUTF8(b)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Malformed{Detail: "the document ends too early", Offset: int64(len(b))}
	case whole:
		return &Malformed{Detail: "there is more behind the document", Offset: at}
	case errors.Is(err, jsontext.ErrDuplicateName) && syntax != nil:
		return &Malformed{Detail: "the member " + pointer(syntax.JSONPointer) + " is given twice", Offset: at}
	}
	return &Malformed{Detail: "not JSON: unexpected " + character(b, at), Offset: at}
}

func character(b []byte, at int64) string {
	if at < 0 || at >= int64(len(b)) {
		return "end"
	}
	r, _ := utf8.DecodeRune(b[at:])
	return "character " + strconv.QuoteRuneToASCII(r)
}

func invalidUTF8(b []byte) int64 {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return int64(i)
		}
		i += n
	}
	return int64(len(b))
}
