package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"commerce.internal/orderctl/internal/dlq"
	"commerce.internal/orderctl/internal/out"
)

func newDLQStatsCmd(a *app) *cobra.Command {
	f := selectFlags{anyState: true}
	by, jobs := string(dlq.ByClass), false
	cmd := &cobra.Command{
		Use: "stats [P/O...]", Short: "Counts dead letters, and what became of them.", Args: takes(0, -1, "dead letters"),
		Example: `# what dies, and how much of it waits for a decision?
orderctl dlq stats
# when did it begin?
orderctl dlq stats --by hour --since 24h
# which orders are hit most?
orderctl dlq stats --by key --limit 1000
# what did the replays bring?
orderctl dlq stats --jobs`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if jobs && cmd.Flags().Changed("by") {
				return badUsage(cmd, "", "--by and --jobs exclude each other")
			}
			return a.withLetters(cmd, args, f, func(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
				if jobs {
					return runDLQJobs(ctx, s, r, sel)
				}
				return runDLQStats(ctx, s, r, sel, dlq.By(by))
			})
		},
	}
	f.add(a, cmd)
	enumFlag(cmd, cmd.Flags(), &by, "by", "", by, []string{string(dlq.ByClass), string(dlq.ByCode), string(dlq.ByHour), string(dlq.ByPartition), string(dlq.ByKey)}, "one row for each")
	cmd.Flags().BoolVar(&jobs, "jobs", false, "one row for each job of the ledger")
	exits(cmd, exitOK, "counted; also when there are none", exitUsage, "", exitUnreachable, "", exitDenied, "", exitNotFound, "no such letter or topic")
	seeAlso(cmd, "orderctl dlq list", "orderctl lag", "orderctl top")
	return cmd
}

// runDLQStats prints one row for each group of letters.
func runDLQStats(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection, by dlq.By) error {
	tell, finish := s.reading("count")
	rows, sum, err := r.Stats(ctx, sel, by, s.env.now(), tell)
	finish()
	if err != nil {
		return err
	}
	if sum.Letters == 0 && wordsFor(s) {
		s.note("no dead letters in %s match", r.Topic())
	}
	if wordsFor(s) {
		if err := s.noLedger(ctx, r); err != nil {
			return err
		}
		if len(rows) > 1 {
			sum.Key = "all"
			rows = append(rows, sum)
		}
	}
	return s.print(statsTable(rows, by, s.env.now()), nil)
}

func statsTable(rows []dlq.Tally, by dlq.By, now time.Time) out.Table {
	names := map[dlq.By]string{dlq.ByClass: "CLASS", dlq.ByCode: "CODE", dlq.ByHour: "HOUR", dlq.ByPartition: "PARTITION", dlq.ByKey: "KEY"}
	t := out.Table{Schema: "orderctl.dlq.stats/v1", List: "rows", Columns: []out.Column{
		{Name: names[by], JSON: string(by)},
		{Name: "UNDECIDED", JSON: "undecided", Kind: out.KindInt},
		{Name: "LAST 1h", JSON: "last_1h", Kind: out.KindInt, Drop: 2},
		{Name: "LAST 24h", JSON: "last_24h", Kind: out.KindInt, Drop: 1},
		{Name: "OLDEST", JSON: "oldest_seconds", Kind: out.KindDuration, Drop: 3},
		{Name: "REPLAYED", JSON: "replayed", Kind: out.KindInt},
		{Name: "RESOLVED", JSON: "resolved", Kind: out.KindInt},
		{Name: "AGAIN", JSON: "dead_again", Kind: out.KindInt},
		{Name: "DISCARDED", JSON: "discarded", Kind: out.KindInt},
		{Name: "IN-WORK", JSON: "in_work", Kind: out.KindInt, Wide: true},
		{Name: "LOST", JSON: "lost", Kind: out.KindInt, Wide: true},
		{Name: "LETTERS", JSON: "letters", Kind: out.KindInt, Wide: true},
	}}
	for _, r := range rows {
		oldest := out.NA()
		if !r.Oldest.IsZero() {
			oldest = out.Duration(max(time.Second, now.Sub(r.Oldest)).Truncate(time.Second))
		}
		t.Rows = append(t.Rows, []out.Cell{
			orUnknown(r.Key), out.Int(r.Undecided), out.Int(r.LastHour), out.Int(r.LastDay), oldest, out.Int(r.Replayed), told(r, r.Resolved),
			told(r, r.Again), out.Int(r.Discarded), told(r, r.InWork), out.Int(r.Lost), out.Int(r.Letters),
		})
	}
	return t
}

// told is a count of what became of letters, where that is known.
func told(of interface{ Told() bool }, n int64) out.Cell {
	if !of.Told() {
		return out.Unknown()
	}
	return out.Int(n)
}

// brought is a count of what became of the letters of a job. A discard does not send them anywhere.
func brought(j dlq.JobTally, n int64) out.Cell {
	if j.Job.Kind == dlq.KindDiscard || j.Job.Kind == dlq.KindUndo {
		return out.NA()
	}
	return told(j, n)
}

// runDLQJobs prints one row for each job of the ledger.
func runDLQJobs(ctx context.Context, s *session, r *dlq.Reader, sel dlq.Selection) error {
	tell, finish := s.reading("count")
	jobs, err := r.Jobs(ctx, sel, s.env.now(), tell)
	finish()
	if err != nil {
		return err
	}
	if wordsFor(s) {
		if err := s.noLedger(ctx, r); err != nil {
			return err
		}
		if len(jobs) == 0 {
			s.note("no jobs in the ledger of %s", r.Topic())
		}
	}
	return s.print(jobsTable(jobs, s.env.now()), nil)
}

func jobsTable(jobs []dlq.JobTally, now time.Time) out.Table {
	t := out.Table{Schema: "orderctl.dlq.jobs/v1", List: "jobs", Columns: []out.Column{
		{Name: "JOB", JSON: "job"},
		{Name: "KIND", JSON: "kind"},
		{Name: "STATE", JSON: "state"},
		{Name: "AGE", JSON: "age_seconds", Kind: out.KindDuration, Drop: 1},
		{Name: "PLANNED", JSON: "planned", Kind: out.KindInt, Drop: 2},
		{Name: "DONE", JSON: "done", Kind: out.KindInt},
		{Name: "SKIPPED", JSON: "skipped", Kind: out.KindInt, Drop: 3},
		{Name: "RESOLVED", JSON: "resolved", Kind: out.KindInt},
		{Name: "AGAIN", JSON: "dead_again", Kind: out.KindInt},
		{Name: "IN-WORK", JSON: "in_work", Kind: out.KindInt, Wide: true},
		{Name: "BEGAN", JSON: "began", Kind: out.KindTime, Wide: true},
		{Name: "SEEN", JSON: "at", Kind: out.KindTime, Wide: true},
		{Name: "OPERATOR", JSON: "operator"},
		{Name: "REASON", JSON: "reason", Flex: true},
	}}
	for _, j := range jobs {
		t.Rows = append(t.Rows, []out.Cell{
			out.Text(j.Job.ID), orNA(string(j.Job.Kind)), out.Text(string(j.Job.State)), out.Duration(max(0, now.Sub(j.Job.Began)).Truncate(time.Second)),
			out.Int(int64(j.Job.Planned)), out.Int(int64(j.Job.Done)), out.Int(int64(j.Job.Skipped)), brought(j, j.Letters.Resolved), brought(j, j.Letters.Again),
			brought(j, j.Letters.InWork), out.Time(j.Job.Began), out.Time(j.Job.At), orNA(j.Job.Operator), orNA(j.Job.Reason),
		})
	}
	return t
}

// reading tells on stderr how many records are read; of what is read in a moment it says nothing.
func (s *session) reading(verb string) (tell func(done, total int64), finish func()) {
	const patience = time.Second
	var p *out.Progress
	began := s.env.now()
	tell = func(done, total int64) {
		if p == nil {
			p = out.NewProgress(s.env.stderr, out.ProgressOptions{
				Verb: verb, Total: total, Quiet: s.global.quiet, Width: s.env.width(), Now: s.env.now,
				Redraw: out.CanRedraw(s.env.lookup, s.env.stderrTerminal),
			})
		}
		if s.env.now().Sub(began) >= patience {
			p.Set(done, 0)
		}
	}
	return tell, func() {
		if p != nil && s.env.now().Sub(began) >= patience {
			p.Finish()
		}
	}
}
