package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"commerce.internal/orderctl/internal/inspect/lag"
	"commerce.internal/orderctl/internal/kafka/observe"
	"commerce.internal/orderctl/internal/text"
)

// completeLimit bounds what Tab waits for Kafka. With what a cut connection takes to end, the shell waits a second.
const completeLimit = 850 * time.Millisecond

// completeLive makes groups, topics and partitions complete themselves wherever a command takes them.
func (a *app) completeLive(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		offers := map[string]func(cluster, []string) []cobra.Completion{
			"group": offerGroups, "topic": offerTopics, "partition": a.offerNumbers(cmd), "peek": offerPartitions,
		}
		if offer := offers[f.Name]; offer != nil && f.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, a.completeFrom(offer)) // one of its own stays
		}
	})
	if cmd.Name() == "lag" {
		cmd.ValidArgsFunction = a.completeFrom(offerGroups)
	}
	for _, child := range cmd.Commands() {
		a.completeLive(child)
	}
}

// completeFrom asks the cluster and offers what begins like the word. A cluster that does not answer offers nothing but a
// word of help, as does a configuration that does not load.
func (a *app) completeFrom(offer func(c cluster, taken []string) []cobra.Completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp
		s, err := a.read(cmd)
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			return cobra.AppendActiveHelp(nil, text.Safe(first)), directive
		}
		c := s.known(cmd.Context())
		if c.Failure != "" {
			return cobra.AppendActiveHelp(nil, c.Failure), directive
		}
		head := ""
		if i := strings.LastIndexByte(word, ','); i >= 0 { // a list: its last element
			head = word[:i+1]
		}
		var found []cobra.Completion
		for _, candidate := range offer(c, args) {
			name, _, _ := strings.Cut(candidate, "\t")
			if text.Safe(name) == name && strings.HasPrefix(head+name, word) { // a name that has to be escaped cannot be typed
				found = append(found, head+candidate)
			}
		}
		return found, directive
	}
}

func offerGroups(c cluster, taken []string) []cobra.Completion {
	var list []cobra.Completion
	for _, g := range c.Groups {
		if !slices.Contains(taken, g.Name) {
			list = append(list, cobra.CompletionWithDesc(g.Name, text.Safe(g.Note)))
		}
	}
	return list
}

func offerTopics(c cluster, _ []string) []cobra.Completion {
	var list []cobra.Completion
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		list = append(list, cobra.CompletionWithDesc(name, fmt.Sprintf("%d partitions", c.Topics[name])))
	}
	return list
}

func offerPartitions(c cluster, _ []string) []cobra.Completion {
	var list []cobra.Completion
	for _, name := range slices.Sorted(maps.Keys(c.Topics)) {
		for p := range c.Topics[name] {
			list = append(list, fmt.Sprintf("%s/%d", name, p))
		}
	}
	return list
}

// offerNumbers are the partitions of the topics that were named, else of the largest.
func (a *app) offerNumbers(cmd *cobra.Command) func(cluster, []string) []cobra.Completion {
	return func(c cluster, _ []string) []cobra.Completion {
		most := 0
		named := cmd.Flags().Lookup("topic")
		for name, n := range c.Topics {
			if named == nil || !named.Changed || strings.Contains(named.Value.String(), name) {
				most = max(most, n)
			}
		}
		var list []cobra.Completion
		for p := range most {
			list = append(list, strconv.Itoa(p))
		}
		return list
	}
}

// survey looks at the cluster once. What comes until the limit has to do.
func (s *session) survey(ctx context.Context) cluster {
	c := cluster{At: s.env.now(), Topics: map[string]int{}}
	logs, err := s.logs("orderctl-complete", false)
	if err != nil {
		c.Failure = err.Error()
		return c
	}
	defer logs.Close()
	o := observe.New(s.kafka("complete", logs.Log))
	defer o.Close()
	type seen struct {
		topics map[string]int
		groups lag.Snapshot
	}
	found, err := within(ctx, completeLimit, "Kafka at "+s.brokers(), func(ctx context.Context) (seen seen, err error) {
		if seen.topics, err = o.Layout(ctx); err == nil {
			seen.groups, _ = o.Snapshot(ctx, lag.Query{All: true}) // topics alone are something
		}
		return seen, err
	})
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		c.Failure = text.Safe(first)
		if codeOf(err) == exitUnreachable && ctx.Err() == nil && strings.Contains(first, "did not answer") {
			c.Failure = fmt.Sprintf("Kafka at %s did not answer in 1s", text.Safe(s.brokers()))
		}
		return c
	}
	c.Topics = found.topics
	for _, g := range lag.Evaluate([]lag.Snapshot{found.groups}, s.lagPolicy()).Groups {
		c.Groups = append(c.Groups, clusterGroup{Name: g.Group, Note: groupNote(g)})
	}
	return c
}

// groupNote is what helps to choose between groups.
func groupNote(g lag.Group) string {
	said := []string{}
	if g.State.Known {
		said = append(said, g.State.V)
	}
	switch {
	case g.Members.V == 1:
		said = append(said, "1 member")
	case g.Members.Known:
		said = append(said, fmt.Sprintf("%d members", g.Members.V))
	}
	if g.Unread.Known {
		said = append(said, "unread "+strings.TrimSuffix(amount(g.Unread, g.LowerBound, ""), " "))
	}
	return strings.Join(said, ", ")
}
