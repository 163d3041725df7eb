package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/kafka/admin"
	"commerce.internal/orderctl/internal/out"
	"commerce.internal/orderctl/internal/setup"
)

func newTopicsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "topics", Short: "Plans and creates the topics that the configuration asks for.", GroupID: groupSetUp, Args: groupArgs,
		Example: `# what is missing, what differs?
orderctl topics plan
# create what is missing
orderctl topics apply --yes`,
	}
	exits(cmd, exitOK, "", exitUsage, "")
	cmd.AddCommand(newTopicsPlanCmd(a), newTopicsApplyCmd(a))
	return cmd
}

func newTopicsPlanCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Shows which topics are missing and which differ from the configuration.", Args: noArgs,
		Example: `# what is missing, what differs?
orderctl topics plan
# the same for a program
orderctl topics plan -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(cmd)
			if err != nil {
				return err
			}
			return s.withAdmin(cmd.Context(), func(ctx context.Context, adm setup.Admin) error {
				steps, err := ask(ctx, s, func(ctx context.Context) ([]setup.Step, error) { return setup.Plan(ctx, adm, s.want()) })
				if err != nil {
					return err
				}
				return s.printTopics(steps)
			})
		},
	}
	topicFlags(cmd)
	exits(cmd, exitOK, "shown", exitUsage, "", exitUnreachable, "", exitDenied, "")
	seeAlso(cmd, "orderctl topics apply", "orderctl help keys")
	return cmd
}

func newTopicsApplyCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply", Short: "Creates the missing topics; what is there is never changed.", Args: noArgs,
		Example: `# create what is missing
orderctl topics apply --yes
# show it first
orderctl topics apply --dry-run`,
	}
	yes := addYes(cmd)
	dry := cmd.Flags().BoolP("dry-run", "n", false, "show what would be created, create nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := a.load(cmd)
		if err != nil {
			return err
		}
		return s.withAdmin(cmd.Context(), func(ctx context.Context, adm setup.Admin) error {
			return runTopicsApply(ctx, s, cmd, adm, *yes, *dry)
		})
	}
	topicFlags(cmd)
	exits(cmd, exitOK, "all topics are there", exitFailed, "", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNeedsYes, "")
	seeAlso(cmd, "orderctl topics plan")
	return cmd
}

func topicFlags(cmd *cobra.Command) {
	keyFlag(cmd, cmd.Flags(), "consume.group", "group", "g", "consumer `GROUP`")
	keyFlag(cmd, cmd.Flags(), "consume.topic", "topic", "t", "source `TOPIC`")
}

// runTopicsApply shows the plan, asks, creates what is missing, and shows what is there then.
func runTopicsApply(ctx context.Context, s *session, cmd *cobra.Command, adm setup.Admin, yes, dry bool) error {
	steps, err := ask(ctx, s, func(ctx context.Context) ([]setup.Step, error) { return setup.Plan(ctx, adm, s.want()) })
	if err != nil {
		return err
	}
	missing := 0
	for _, step := range steps {
		if step.Action == setup.ActionCreate {
			missing++
		}
	}
	if dry || missing == 0 {
		return s.printTopics(steps)
	}
	if !yes && s.env.stdinTerminal && s.env.stderrTerminal && wordsFor(s) { // the question is about what was seen
		if err := s.printTopics(steps); err != nil {
			return err
		}
	}
	if err := s.consent(ctx, cmd, fmt.Sprintf("create %d topics", missing), yes); err != nil {
		return err
	}
	if _, err := ask(ctx, s, func(ctx context.Context) (int, error) { return setup.Apply(ctx, adm, steps) }); err != nil {
		return err
	}
	for i := range steps {
		if steps[i].Action == setup.ActionCreate {
			steps[i].Action = "created"
		}
	}
	return s.printTopics(steps)
}

// topicsDoc is the JSON of a plan of topics, orderctl.topics/v1.
type topicsDoc struct {
	Schema string     `json:"schema"`
	Topics []topicDoc `json:"topics"`
}

type topicDoc struct {
	Topic             string        `json:"topic"`
	Role              string        `json:"role"`
	Partitions        int32         `json:"partitions"`
	ReplicationFactor int16         `json:"replication_factor"`
	Action            setup.Action  `json:"action"`
	Differs           []setup.Drift `json:"differs"`
}

// Lines implements out.Liner.
func (d topicsDoc) Lines() []any {
	type line struct {
		Schema string `json:"schema"`
		topicDoc
	}
	lines := make([]any, len(d.Topics))
	for i, t := range d.Topics {
		lines[i] = line{"orderctl.topics.topic/v1", t}
	}
	return lines
}

// printTopics prints a plan. On a terminal what differs has lines of its own, for there it must not be cut.
func (s *session) printTopics(steps []setup.Step) error {
	doc := topicsDoc{Schema: "orderctl.topics/v1", Topics: []topicDoc{}}
	t := topicsTable(steps)
	differ := false
	for _, step := range steps {
		doc.Topics = append(doc.Topics, topicDoc{
			Topic: step.Spec.Name, Role: string(step.Spec.Role), Partitions: step.Spec.Partitions, ReplicationFactor: step.Spec.ReplicationFactor,
			Action: step.Action, Differs: append([]setup.Drift{}, step.Drift...),
		})
		differ = differ || len(step.Drift) > 0
	}
	own := s.env.stdoutTerminal && wordsFor(s)
	if own {
		last := len(t.Columns) - 1
		t.Columns = t.Columns[:last]
		for i := range t.Rows {
			t.Rows[i] = t.Rows[i][:last]
		}
	}
	if err := s.print(t, doc); err != nil {
		return err
	}
	for _, step := range steps {
		for _, d := range step.Drift {
			if own {
				s.line(fmt.Sprintf("%s: %s is %s, not %s", step.Spec.Name, d.Key, d.Have, d.Want))
			}
		}
	}
	if differ && wordsFor(s) {
		s.note("what differs is shown, never changed; 'orderctl doctor' says what of it is a risk, and how to change it")
	}
	return nil
}

// want is what the configuration asks for.
func (s *session) want() setup.Want {
	t := s.cfg.Topics
	return setup.Want{
		Names: s.names(), Partitions: int32(t.Partitions), ReplicationFactor: int16(t.ReplicationFactor), //nolint:gosec // bounded by config
		MinInSyncReplicas: t.MinInsyncReplicas, Retention: t.Retention, DLQRetention: t.DLQRetention,
		MaxMessageBytes: int(s.cfg.Producer.MaxMessageBytes) + maxMessageRoom,
	}
}

// maxMessageRoom is what a topic takes over the largest record of the producer: the frame of its batch.
const maxMessageRoom = 48_576

func topicsTable(steps []setup.Step) out.Table {
	t := out.Table{Schema: "orderctl.topics/v1", List: "topics", Columns: []out.Column{
		{Name: "TOPIC", JSON: "topic"},
		{Name: "ROLE", JSON: "role", Drop: 1},
		{Name: "PARTITIONS", JSON: "partitions", Kind: out.KindInt},
		{Name: "RF", JSON: "replication_factor", Kind: out.KindInt},
		{Name: "ACTION", JSON: "action"},
		{Name: "DIFFERS", JSON: "differs", Flex: true},
	}}
	for _, s := range steps {
		drift := out.NA()
		if len(s.Drift) > 0 {
			var parts []string
			for _, d := range s.Drift {
				parts = append(parts, fmt.Sprintf("%s is %s, not %s", d.Key, d.Have, d.Want))
			}
			drift = out.Text(strings.Join(parts, "; "))
		}
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(s.Spec.Name), out.Text(string(s.Spec.Role)), out.Int(int64(s.Spec.Partitions)), out.Int(int64(s.Spec.ReplicationFactor)),
			out.Text(string(s.Action)), drift,
		})
	}
	return t
}

// withAdmin connects an admin client for one command.
func (s *session) withAdmin(ctx context.Context, do func(context.Context, setup.Admin) error) error {
	logs, err := s.logs("orderctl-topics", false)
	if err != nil {
		return err
	}
	defer logs.Close()
	return do(ctx, topicAdmin{admin.New(s.kafka("topics", logs.Log))})
}

// topicAdmin is the admin client as setup sees it.
type topicAdmin struct{ c *admin.Admin }

// Topics implements setup.Admin.
func (t topicAdmin) Topics(ctx context.Context, names []string) (map[string]setup.Topic, error) {
	infos, err := t.c.Topics(ctx, names)
	if err != nil {
		return nil, err
	}
	topics := make(map[string]setup.Topic, len(infos))
	for name, i := range infos {
		topics[name] = setup.Topic{Partitions: i.Partitions, ReplicationFactor: i.ReplicationFactor, Configs: i.Configs}
	}
	return topics, nil
}

// Create implements setup.Admin.
func (t topicAdmin) Create(ctx context.Context, specs []setup.TopicSpec) error {
	list := make([]admin.Spec, 0, len(specs))
	for _, s := range specs {
		list = append(list, admin.Spec{Name: s.Name, Partitions: s.Partitions, ReplicationFactor: s.ReplicationFactor, Configs: s.Configs})
	}
	return t.c.Create(ctx, list)
}
