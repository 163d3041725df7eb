package dlq

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxPlanLine bounds one line of a plan: a letter with an edited value in base64.
const maxPlanLine = 32 << 20

// Write writes the plan, one entry a line, so that lines can be deleted by hand. It is one JSON document all the same.
func (p Plan) Write(w io.Writer) error {
	entries := p.Entries
	p.Entries = []PlanEntry{}
	head, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	lines := [][]byte{bytes.TrimSuffix(head, []byte("]}"))}
	for i, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode entry %s of plan: %w", e.ID, err)
		}
		if i < len(entries)-1 {
			line = append(line, ',')
		}
		lines = append(lines, line)
	}
	lines = append(lines, []byte("]}\n"))
	if _, err := w.Write(bytes.Join(lines, []byte("\n"))); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

// ReadPlan reads a plan, also one whose lines were deleted: a comma that is left before the end is no error. One that another
// tool, such as jq, has laid out anew is read as the document that it is.
func ReadPlan(r io.Reader) (Plan, error) {
	in := bufio.NewReader(r)
	first, err := in.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	r = io.MultiReader(bytes.NewReader(first), in)
	if head := bytes.TrimSpace(first); bytes.HasPrefix(head, []byte("{")) && !bytes.HasSuffix(head, []byte(`"entries":[`)) {
		return readWhole(r)
	}
	return readLines(r)
}

// readWhole reads a plan that is one JSON document.
func readWhole(r io.Reader) (Plan, error) {
	var p Plan
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("line 1 is not the head of a plan, nor is the whole one: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Plan{}, errors.New("there is more than one value")
	}
	if p.Schema != PlanSchema {
		return Plan{}, wrongSchema(p.Schema)
	}
	for i, e := range p.Entries {
		if err := e.check(); err != nil {
			return Plan{}, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return p, p.check()
}

func wrongSchema(s string) error {
	return fmt.Errorf("schema is %q, not %q: make the plan with this version of orderctl", s, PlanSchema)
}

// readLines reads a plan as it is written, an entry a line.
func readLines(r io.Reader) (Plan, error) {
	var p Plan
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxPlanLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case len(line) == 0 || bytes.Equal(line, []byte("]}")):
		case p.Schema == "":
			if err := decodeStrict(append(bytes.Clone(line), "]}"...), &p); err != nil {
				return Plan{}, fmt.Errorf("line %d is not the head of a plan: %w", n, err)
			}
			if p.Schema != PlanSchema {
				return Plan{}, fmt.Errorf("line %d: %w", n, wrongSchema(p.Schema))
			}
		default:
			var e PlanEntry
			if err := decodeStrict(bytes.TrimSuffix(line, []byte(",")), &e); err != nil {
				return Plan{}, fmt.Errorf("line %d is no entry of a plan: %w", n, err)
			}
			if err := e.check(); err != nil {
				return Plan{}, fmt.Errorf("line %d: %w", n, err)
			}
			p.Entries = append(p.Entries, e)
		}
	}
	if err := lines.Err(); err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	if p.Schema == "" {
		return Plan{}, errors.New("it is empty")
	}
	return p, p.check()
}

func decodeStrict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if dec.More() {
		return errors.New("there is more than one value")
	}
	return nil
}

// check refuses an entry that cannot be carried out as it stands.
func (e PlanEntry) check() error {
	if _, err := ParseID(e.ID); err != nil {
		return err
	}
	if e.Action != ActReplay && e.Action != ActSkip {
		return fmt.Errorf("action of %s is %q, not replay or skip", e.ID, e.Action)
	}
	if e.Action == ActReplay && slices.ContainsFunc(e.Warnings, Warning.final) {
		return fmt.Errorf("letter %s cannot be replayed: %v", e.ID, e.Warnings)
	}
	if e.Edit != nil {
		sum := sha256.Sum256(e.Edit.Value)
		if hex.EncodeToString(sum[:]) != e.Edit.SHA256 {
			return fmt.Errorf("the edited value of %s is not the one that was planned (sha256 differs)", e.ID)
		}
	}
	return nil
}

func (p Plan) check() error {
	seen := map[string]bool{}
	for _, e := range p.Entries {
		if seen[e.ID] {
			return fmt.Errorf("letter %s is in it twice", e.ID)
		}
		seen[e.ID] = true
	}
	if p.ID == "" || p.DLQ.Topic == "" {
		return errors.New("its head lacks plan_id or dlq.topic")
	}
	to, err := ParseTarget(p.To, p.DLQ.Topic)
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	for _, e := range p.Entries {
		if e.Action == ActReplay && !p.aims(to, e.Target) {
			return fmt.Errorf("target of %s is %q, which is not where %s leads", e.ID, e.Target, p.To)
		}
	}
	return nil
}

// aims reports whether a target is one that the plan can have. That each letter takes effect once rests on it.
func (p Plan) aims(to Target, target string) bool {
	at, err := parseTarget(target)
	if err != nil || at.Topic == p.DLQ.Topic || at.Topic == p.DLQ.Topic+".audit" {
		return false
	}
	replay := strings.HasSuffix(at.Topic, "."+p.Group+".replay")
	return to.kind == toOrigin || to.kind == toGroup && replay || to.kind == toTopic && at.Topic == to.topic
}

// SHA256 identifies what the plan does: which letters, with which values, where to. A plan read from its file has the same.
func (p Plan) SHA256() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %s %s\n", p.ID, p.ClusterID, p.DLQ.Topic, p.DLQ.TopicID, p.To)
	for _, e := range p.Entries {
		edited := ""
		if e.Edit != nil {
			edited = e.Edit.SHA256
		}
		fmt.Fprintf(h, "%s %s %s %s %s\n", e.ID, e.SHA256, e.Target, e.Action, edited)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Count returns how many entries have an action, and how often each warning stands.
func (p Plan) Count() (replay, skip int, warnings map[Warning]int) {
	warnings = map[Warning]int{}
	for _, e := range p.Entries {
		if e.Action == ActReplay {
			replay++
		} else {
			skip++
		}
		for _, w := range e.Warnings {
			warnings[w]++
		}
	}
	return replay, skip, warnings
}
