package store

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func numbered() syntax {
	return syntax{placeholder: func(n int) string { return "$" + strconv.Itoa(n) }, same: "IS NOT DISTINCT FROM", lockRows: "FOR UPDATE"}
}

func TestStatementsOfAFile(t *testing.T) {
	t.Parallel()
	lite, pg, my := (&sqliteDialect{}).syntax(), (&postgresDialect{}).syntax(), (&mysqlDialect{}).syntax()
	for _, c := range []struct {
		name string
		y    syntax
		file string
		want []effectStatement
	}{
		{"one without an end", lite, "SELECT :order_id", []effectStatement{{"SELECT ?", []string{"order_id"}, 1}}},
		{
			"two, with lines", lite, "\nUPDATE a SET b = :status\nWHERE c = :status;\n\n DELETE FROM d ;\n",
			[]effectStatement{{"UPDATE a SET b = ?\nWHERE c = ?", []string{"status", "status"}, 2}, {"DELETE FROM d", nil, 5}},
		},
		{
			"comments do not count", lite, "-- one; :two\n/* ; \n :three */ SELECT 1 -- :four",
			[]effectStatement{{"SELECT 1", nil, 3}},
		},
		{
			"quotes do not count", lite, "SELECT ';:x', \";:y\", `:z;`, [:w;], 'it''s :v'",
			[]effectStatement{{"SELECT ';:x', \";:y\", `:z;`, [:w;], 'it''s :v'", nil, 1}},
		},
		{
			"numbers and casts of another database", numbered(), "SELECT a[1:2], :items::jsonb ->> 'x', b @> :order, d ? 'e'",
			[]effectStatement{{"SELECT a[1:2], $1::jsonb ->> 'x', b @> $2, d ? 'e'", []string{"items", "order"}, 1}},
		},
		{
			"quotes of PostgreSQL", pg, "SELECT $$ :x; ' $$, $a$ $$ :y; $a$, E'it\\'s :z;', e'\\\\', 'back\\', :status, :total_amount, /* a /* :b */ ; */ 1",
			[]effectStatement{{"SELECT $$ :x; ' $$, $a$ $$ :y; $a$, E'it\\'s :z;', e'\\\\', 'back\\', $1, $2::bigint,   1", []string{"status", "total_amount"}, 1}},
		},
		{
			"quotes and comments of MySQL", my, "SELECT 'it\\'s :x;', \"\\\":y;\", `z\\`, 5--3, :status # :a; it's\n, @v -- :b;\n, 1 --",
			[]effectStatement{{"SELECT 'it\\'s :x;', \"\\\":y;\", `z\\`, 5--3, ?  \n, @v  \n, 1", []string{"status"}, 1}},
		},
		{"lower case", lite, "with x as (select 1) select :currency", []effectStatement{{"with x as (select 1) select ?", []string{"currency"}, 1}}},
		{"a name ends where letters end", lite, "SELECT :items||:order", []effectStatement{{"SELECT ?||?", []string{"items", "order"}, 1}}},
	} {
		got, err := parseEffect(c.y, c.file)
		if err != nil || !slices.EqualFunc(got, c.want, func(a, b effectStatement) bool {
			return a.text == b.text && a.line == b.line && slices.Equal(a.params, b.params)
		}) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"SELECT\n:nobody":                "2: unknown parameter :nobody",
		"SELECT ?":                       "1: write a parameter as :name, not as ?",
		"SELECT\n\n@status":              "3: write a parameter as :name, not as @",
		"SELECT $status":                 "1: write a parameter as :name, not as $",
		"SELECT 'a\nb":                   "1: what begins with ' has no end",
		"SELECT 1;\n/* and":              "2: what begins with /* has no end",
		"SELECT 1; PRAGMA user_version":  "1: PRAGMA is not allowed here",
		"BEGIN":                          "1: BEGIN is not allowed here",
		";;\nrollback":                   "2: ROLLBACK is not allowed here",
		"SELECT 1;\nATTACH 'x' AS y":     "2: ATTACH is not allowed here",
		"(SELECT 1)":                     "1: (SELECT 1) is not allowed here",
		"":                               "1: there is no statement",
		"-- nothing\n":                   "2: there is no statement",
		"SAVEPOINT x; SELECT 1":          "1: SAVEPOINT is not allowed here",
		"SELECT 1; RELEASE one_record":   "1: RELEASE is not allowed here",
		"CREATE TRIGGER a BEGIN SELECT;": "1: CREATE is not allowed here",
	} {
		if got, err := parseEffect((&sqliteDialect{}).syntax(), file); err == nil || err.Error() != want {
			t.Errorf("%q: %+v, %v, want %s", file, got, err, want)
		}
	}
}

func TestFilesThatServersRefuse(t *testing.T) {
	t.Parallel()
	pg, my := (&postgresDialect{}).syntax(), (&mysqlDialect{}).syntax()
	for _, c := range []struct {
		y          syntax
		file, want string
	}{
		{pg, "SELECT $1", "1: write a parameter as :name, not as $"},
		{pg, "SELECT $a$ it", "1: what begins with $a$ has no end"},
		{pg, "SELECT 1;\n/* /* */", "2: what begins with /* has no end"},
		{pg, "SELECT E'\\'", "1: what begins with ' has no end"},
		{pg, "DO $$ BEGIN END $$", "1: DO is not allowed here"},
		{my, "SELECT ?", "1: write a parameter as :name, not as ?"},
		{my, "SELECT 1 /*! ; COMMIT */", "1: /*! is not allowed here"},
		{my, "SELECT 1;\n/*M! COMMIT */", "2: /*! is not allowed here"},
		{my, "SELECT 'a\\'", "1: what begins with ' has no end"},
		{my, "SET autocommit = 1", "1: SET is not allowed here"},
	} {
		if got, err := parseEffect(c.y, c.file); err == nil || err.Error() != c.want {
			t.Errorf("%q: %+v, %v, want %s", c.file, got, err, c.want)
		}
	}
}

func TestTextsInTheWordsOfADatabase(t *testing.T) {
	t.Parallel()
	if got := render(numbered(), "SELECT ? WHERE a <=> ? {lock}"); got != "SELECT $1 WHERE a IS NOT DISTINCT FROM $2 FOR UPDATE" {
		t.Error(got)
	}
	if got := render((&sqliteDialect{}).syntax(), "SELECT ? WHERE a <=> ? {lock}"); got != "SELECT ? WHERE a IS ?" {
		t.Error(got)
	}
	x := newTexts(numbered())
	for _, q := range []string{x.insertRow, x.updateRow, x.controlRow, x.placeRow, x.rowsOfIDs(4), x.unfinished(4), x.orders(4)} {
		if strings.ContainsAny(q, "?{") || strings.Contains(q, "<=>") {
			t.Errorf("not in the words of the database: %s", q)
		}
	}
	if !strings.HasSuffix(x.orders(2), "IN ($2, $3) ORDER BY order_id FOR UPDATE") {
		t.Error(x.orders(2))
	}
}

// Whatever a file holds, nothing is lost but comments, and every parameter has a name that is filled.
func FuzzStatementsOfAFile(f *testing.F) {
	f.Add("UPDATE a SET b = :status WHERE c = ':x'; -- d\nSELECT 1")
	f.Add("SELECT '\x00'';'::/**/:order_id;")
	f.Fuzz(func(t *testing.T, file string) {
		got, err := parseEffect((&sqliteDialect{}).syntax(), file)
		if err != nil {
			if line, _, _ := strings.Cut(err.Error(), ":"); !isLine(line, file) {
				t.Errorf("%q: error %q does not begin with a line", file, err)
			}
			return
		}
		for _, st := range got {
			if strings.TrimSpace(st.text) == "" || !isLine(strconv.Itoa(st.line), file) {
				t.Errorf("%q: %+v", file, st)
			}
			if n := strings.Count(st.text, "?"); n < len(st.params) {
				t.Errorf("%q: %d places for %d parameters", file, n, len(st.params))
			}
		}
	})
}

func isLine(s, file string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= strings.Count(file, "\n")+1
}
