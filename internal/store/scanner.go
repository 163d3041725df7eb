package store

import (
	"fmt"
	"slices"
	"strings"
)

// scanner cuts SQL into statements and finds the named parameters in it. It knows just enough to leave alone what
// stands in quotes and comments; everything else is for the database to judge.
type scanner struct {
	syntax syntax
	sql    string
	line   int // of the next byte
}

// statement returns the next statement without its comments in front; empty where there is none. More is false at the
// end of the file.
func (c *scanner) statement() (st effectStatement, more bool, err error) {
	var out strings.Builder
	for len(c.sql) > 0 {
		n, err := c.token()
		if err != nil {
			return st, false, err
		}
		tok := c.sql[:n]
		switch {
		case tok == ";":
			c.advance(n)
			st.text = strings.TrimSpace(out.String())
			return st, true, nil
		case tok[0] == ':' && n > 1 && tok != "::":
			if !slices.Contains(effectParams(), tok[1:]) {
				return st, false, fmt.Errorf("%d: unknown parameter %s", c.line, tok)
			}
			st.params = append(st.params, tok[1:])
			out.WriteString(c.syntax.placeholder(len(st.params)))
		case strings.Contains(c.syntax.foreign, tok[:1]):
			return st, false, fmt.Errorf("%d: write a parameter as :name, not as %s", c.line, tok[:1])
		case comment(tok):
			out.WriteByte(' ')
		default:
			out.WriteString(tok)
		}
		if st.line == 0 && strings.TrimSpace(out.String()) != "" {
			st.line = c.line
		}
		c.advance(n)
	}
	st.text = strings.TrimSpace(out.String())
	return st, false, nil
}

func (c *scanner) advance(n int) {
	c.line += strings.Count(c.sql[:n], "\n")
	c.sql = c.sql[n:]
}

func comment(tok string) bool { return strings.HasPrefix(tok, "--") || strings.HasPrefix(tok, "/*") }

// token returns the length of what stands next: a quoted piece, a comment, a parameter, or one byte.
func (c *scanner) token() (int, error) {
	s := c.sql
	switch {
	case strings.HasPrefix(s, "--"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end, nil
		}
		return len(s), nil
	case strings.HasPrefix(s, "/*"):
		return c.until("*/", 2)
	case s[0] == '\'' || s[0] == '"' || s[0] == '`':
		return c.until(s[:1], 1) // a doubled quote is two quoted pieces, which does no harm
	case s[0] == '[' && c.syntax.brackets:
		return c.until("]", 1)
	case s[0] == ':':
		return c.colon(), nil
	}
	return 1, nil
}

func (c *scanner) until(end string, from int) (int, error) {
	n := strings.Index(c.sql[from:], end)
	if n < 0 {
		return 0, fmt.Errorf("%d: what begins with %s has no end", c.line, c.sql[:from])
	}
	return from + n + len(end), nil
}

// colon is the length of a parameter, or of the cast operator.
func (c *scanner) colon() int {
	if strings.HasPrefix(c.sql, "::") {
		return 2
	}
	n := 1
	for n < len(c.sql) && nameByte(c.sql[n], n > 1) {
		n++
	}
	return n
}

// nameByte reports whether a byte may stand in a name; no name begins with a digit.
func nameByte(b byte, inside bool) bool {
	return 'a' <= b|0x20 && b|0x20 <= 'z' || b == '_' || inside && '0' <= b && b <= '9'
}
