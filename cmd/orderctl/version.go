package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/out"
)

// build is what a binary knows about itself.
type build struct {
	Schema   string  `json:"schema"`
	Version  string  `json:"version"`
	Commit   *string `json:"commit"`
	Time     *string `json:"time"`
	Modified bool    `json:"modified"`
	Go       string  `json:"go"`
	OS       string  `json:"os"`
	Arch     string  `json:"arch"`
}

func newVersionCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Prints the version of this binary.",
		GroupID: groupSetUp,
		Args:    noArgs,
		Example: `# which version is this?
orderctl version
# the same for a program
orderctl version -o json`,
		RunE: func(*cobra.Command, []string) error { return runVersion(a) },
	}
	exits(cmd, exitOK, "printed", exitUsage, "")
	return cmd
}

func runVersion(a *app) error {
	b := buildInfo()
	switch out.Format(a.global.format) {
	case out.FormatTable, out.FormatWide:
		commit := "unknown"
		if b.Commit != nil {
			commit = *b.Commit
		}
		_, err := fmt.Fprintf(a.stdout, "orderctl %s (commit %s, %s, %s/%s)\n", b.Version, commit, b.Go, b.OS, b.Arch)
		return err
	}
	t := out.Table{
		Schema: b.Schema,
		Columns: []out.Column{
			{Name: "VERSION", JSON: "version"},
			{Name: "COMMIT", JSON: "commit"},
			{Name: "GO", JSON: "go"},
			{Name: "OS", JSON: "os"},
			{Name: "ARCH", JSON: "arch"},
		},
		Rows: [][]out.Cell{{out.Text(b.Version), textOrUnknown(b.Commit), out.Text(b.Go), out.Text(b.OS), out.Text(b.Arch)}},
	}
	return a.print(t, b)
}

func textOrUnknown(s *string) out.Cell {
	if s == nil {
		return out.Unknown()
	}
	return out.Text(*s)
}

func buildInfo() build {
	b := build{Schema: "orderctl.version/v1", Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = &s.Value
		case "vcs.time":
			b.Time = &s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
