package store

import (
	"fmt"
	"regexp"
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
			if numeric(tok[1:]) {
				out.WriteString(c.syntax.number)
			}
		case n == 1 && strings.Contains(c.syntax.foreign, tok):
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

func comment(tok string) bool {
	return strings.HasPrefix(tok, "--") && len(tok) > 1 || strings.HasPrefix(tok, "/*") || tok[0] == '#' && len(tok) > 1
}

// token returns the length of what stands next: a quoted piece, a comment, a parameter, or one byte.
func (c *scanner) token() (int, error) {
	s := c.sql
	switch {
	case c.lineComment():
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end, nil
		}
		return len(s), nil
	case strings.HasPrefix(s, "/*"):
		return c.block()
	case s[0] == '\'' || s[0] == '"' || s[0] == '`':
		return c.quoted(0, c.syntax.backslashes && s[0] != '`')
	case c.syntax.dollars && (strings.HasPrefix(s, "E'") || strings.HasPrefix(s, "e'")):
		return c.quoted(1, true)
	case c.syntax.dollars && dollarTag.MatchString(s):
		tag := dollarTag.FindString(s)
		return c.until(tag, len(tag))
	case s[0] == '[' && c.syntax.brackets:
		return c.until("]", 1)
	case s[0] == ':':
		return c.colon(), nil
	}
	return 1, nil
}

var dollarTag = regexp.MustCompile(`^\$([A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$`)

func (c *scanner) lineComment() bool {
	if !c.syntax.backslashes {
		return strings.HasPrefix(c.sql, "--")
	}
	after, found := strings.CutPrefix(c.sql, "--")
	return found && (after == "" || after[0] <= ' ') || len(c.sql) > 1 && c.sql[0] == '#'
}

// block is the length of a comment that ends before its line does, or later. MySQL would run what stands in /*! */.
func (c *scanner) block() (int, error) {
	if c.syntax.backslashes && (strings.HasPrefix(c.sql, "/*!") || strings.HasPrefix(c.sql, "/*M!")) {
		return 0, fmt.Errorf("%d: /*! is not allowed here", c.line)
	}
	if !c.syntax.dollars {
		return c.until("*/", 2)
	}
	for depth, n := 1, 2; n+1 < len(c.sql); n++ {
		switch c.sql[n : n+2] {
		case "/*":
			depth++
			n++
		case "*/":
			if depth--; depth == 0 {
				return n + 2, nil
			}
			n++
		}
	}
	return 0, fmt.Errorf("%d: what begins with /* has no end", c.line)
}

// quoted is the length of a text whose quote stands at from. A doubled quote is two texts, which does no harm.
func (c *scanner) quoted(from int, backslashes bool) (int, error) {
	quote := c.sql[from]
	for n := from + 1; n < len(c.sql); n++ {
		switch {
		case c.sql[n] == '\\' && backslashes:
			n++
		case c.sql[n] == quote:
			return n + 1, nil
		}
	}
	return 0, fmt.Errorf("%d: what begins with %c has no end", c.line, quote)
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
