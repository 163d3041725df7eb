package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/config"
	"commerce.internal/orderctl/internal/tui"
)

var update = flag.Bool("update", false, "write docs/cli and docs/man anew")

const docsDir = "../../docs/cli"

// TestDocsAreWhatTheProgramSays compares docs/cli with the commands, their flags, and the tables of exit codes,
// variables and keys. After a change: go test ./cmd/orderctl -run TestDocs -update
func TestDocsAreWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	want := documents(t)
	if *update {
		writePages(t, docsDir, want)
	}
	comparePages(t, docsDir, want)
}

// documents returns the text of each file.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{
		"exit-codes.md": exitDoc(), "environment.md": environmentDoc(), "keys.md": keysDoc(),
	}
	var index strings.Builder
	index.WriteString("# orderctl\n\n| command | what it does |\n|---|---|\n")
	everyCommand(t, func(_ *testing.T, c *cobra.Command) {
		if c.Annotations[annotationTopic] != "" {
			return
		}
		c.InitDefaultHelpFlag()
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".md"
		docs[name] = "# " + c.CommandPath() + "\n\n```\n" + helpText(c) + "```\n"
		fmt.Fprintf(&index, "| [%s](%s) | %s |\n", c.CommandPath(), name, c.Short)
	})
	index.WriteString("\nTables: [exit codes](exit-codes.md), [environment](environment.md), [keys of the configuration](keys.md).\n")
	docs["README.md"] = index.String()
	return docs
}

func exitDoc() string {
	var b strings.Builder
	b.WriteString("# Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, m := range exitMeanings() {
		fmt.Fprintf(&b, "| %d | %s |\n", m.code, m.text)
	}
	return b.String()
}

func environmentDoc() string {
	var b strings.Builder
	b.WriteString("# Environment\n\nA variable beats the file and the context, a flag beats the variable. An empty one is unset.\n\n| variable | key |\n|---|---|\n")
	for _, k := range config.Keys() {
		if k.Env != "" {
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", k.Env, k.Name)
		}
	}
	return b.String()
}

func keysDoc() string {
	var b strings.Builder
	b.WriteString("# Keys of the configuration\n\n| key | default | what it is for |\n|---|---|---|\n")
	for _, k := range config.Keys() {
		if k.Secret {
			continue
		}
		doc := strings.ReplaceAll(k.Doc, "|", `\|`)
		if k.Reload {
			doc += "; changes while running"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", k.Name, orEmpty(k.Default), doc)
	}
	return b.String()
}

// docs/top.md is written by hand, but for its table of keys.
func TestThePageOfTheDashboardHasItsKeys(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/top.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range tui.KeyTable() {
		if row := "| `" + k[0] + "` | " + k[1] + " |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/top.md has no row %q", row)
		}
	}
}
