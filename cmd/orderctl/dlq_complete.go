package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/text"
)

// completeLetters offers the newest letters that wait for a decision.
func (a *app) completeLetters(f *selectFlags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		s, err := a.read(cmd)
		if err != nil {
			return helpOf(err), directive
		}
		s.global.quiet = true // stdout and stderr are the shell's
		letters, err := within(cmd.Context(), completeLimit, "Kafka at "+s.brokers(), func(ctx context.Context) (found []dlq.Letter, err error) {
			err = s.withReader(ctx, f.topic, func(ctx context.Context, r *dlq.Reader) error {
				found, err = r.List(ctx, dlq.Selection{States: []dlq.State{dlq.Undecided}, Limit: listed})
				return err
			})
			return found, err
		})
		if err != nil {
			return helpOf(err), directive
		}
		var list []cobra.Completion
		for _, l := range letters {
			id := l.ID.String()
			if !strings.HasPrefix(id, word) || slices.Contains(args, id) {
				continue
			}
			age := out.Age(max(0, s.env.now().Sub(l.Time)))
			note := strings.Join(nonEmpty([]string{string(l.Trail.Class), l.Trail.Code, l.OrderID(), age}), " ")
			list = append(list, cobra.CompletionWithDesc(id, text.Truncate(text.Safe(note), 60)))
		}
		return list, directive
	}
}

func helpOf(err error) []cobra.Completion {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return cobra.AppendActiveHelp(nil, text.Safe(first))
}
