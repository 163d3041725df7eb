package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/store"
)

func newDBCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "db", Short: "Shows and updates the schema of the database.", GroupID: groupSetUp, Args: groupArgs,
		Example: `# is the schema what this binary needs?
orderctl db status
# bring it up to date
orderctl db migrate`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	cmd.AddCommand(newDBStatusCmd(a), newDBMigrateCmd(a))
	return cmd
}

func newDBStatusCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Shows the version of the schema, the wanted one, and what lies between.", Args: noArgs,
		Example: `# is the schema what this binary needs?
orderctl db status
# the same for a program
orderctl db status -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return runDBStatus(cmd.Context(), s)
		},
	}
	exits(cmd, exitOK, "the schema is what this binary needs", exitUsage, "it is not", exitUnreachable, "")
	seeAlso(cmd, "orderctl db migrate")
	return cmd
}

func newDBMigrateCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Brings the schema up to date; it only adds, so it does not ask.", Args: noArgs,
		Example: `# bring it up to date
orderctl db migrate
# show the SQL, run nothing
orderctl db migrate --dry-run`,
	}
	dry := cmd.Flags().BoolP("dry-run", "n", false, "print the SQL, run nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := a.load(cmd)
		if err != nil {
			return err
		}
		return runDBMigrate(cmd.Context(), s, *dry)
	}
	exits(cmd, exitOK, "the schema is what this binary needs", exitFailed, "", exitUsage, "the schema is newer than this binary", exitUnreachable, "")
	seeAlso(cmd, "orderctl db status")
	return cmd
}

// runDBStatus prints the two versions and what lies between; it ends with 2 where they differ.
func runDBStatus(ctx context.Context, s *session) error {
	logs, err := s.logs("orderctl-db", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	schema, err := store.Status(ctx, s.storeOptions(logs.Log))
	if err != nil {
		return err
	}
	t := out.Table{Schema: "orderctl.db/v1", List: "pending", Columns: []out.Column{
		{Name: "VERSION", JSON: "version", Kind: out.KindInt},
		{Name: "NAME", JSON: "name"},
	}}
	for _, m := range schema.Pending {
		t.Rows = append(t.Rows, []out.Cell{out.Int(m.Version), out.Text(m.Name)})
	}
	doc := dbStatus{Schema: t.Schema, Have: schema.Have, Want: schema.Want, Pending: []dbStep{}}
	for _, m := range schema.Pending {
		doc.Pending = append(doc.Pending, dbStep{Version: m.Version, Name: m.Name})
	}
	if f := out.Format(s.global.format); f == out.FormatTable || f == out.FormatWide {
		s.line(fmt.Sprintf("schema is at %d, this binary needs %d", schema.Have, schema.Want))
	}
	if len(t.Rows) > 0 || out.Format(s.global.format) != out.FormatTable {
		if err := s.print(t, doc); err != nil {
			return err
		}
	}
	switch {
	case schema.Have < schema.Want:
		return exitWith(exitUsage, fmt.Sprintf("database schema is at %d, this binary needs %d", schema.Have, schema.Want), "run: orderctl db migrate")
	case schema.Have > schema.Want:
		return exitWith(exitUsage, fmt.Sprintf("database schema is at %d, this binary knows %d", schema.Have, schema.Want), "use a newer orderctl")
	}
	return nil
}

// dbStatus is the JSON of `db status`.
type dbStatus struct {
	Schema  string   `json:"schema"`
	Have    int64    `json:"have"`
	Want    int64    `json:"want"`
	Pending []dbStep `json:"pending"`
}

type dbStep struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
}

// runDBMigrate applies what is missing, a line each.
func runDBMigrate(ctx context.Context, s *session, dry bool) error {
	logs, err := s.logs("orderctl-db", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	o := s.storeOptions(logs.Log)
	if dry {
		schema, err := store.Status(ctx, o)
		if err != nil {
			return err
		}
		for _, m := range schema.Pending {
			s.line(fmt.Sprintf("-- %d %s", m.Version, m.Name))
			if _, err := fmt.Fprintln(s.stdout, m.SQL); err != nil {
				return err
			}
		}
		return nil
	}
	s.acts()
	applied, err := store.Migrate(ctx, o)
	for _, m := range applied {
		s.line(fmt.Sprintf("%d %s  %s", m.Version, m.Name, out.Age(m.Took)))
	}
	if err != nil {
		return err
	}
	schema, err := store.Status(ctx, o)
	if err != nil {
		return err
	}
	s.line(fmt.Sprintf("schema is at %d", schema.Have))
	return nil
}
