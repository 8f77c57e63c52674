package osupdate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Step is one command of a plan.
type Step struct {
	Argv   []string `json:"argv"`             // the program by its absolute path, then its arguments
	Effect string   `json:"effect"`           // a sentence
	Origin *Origin  `json:"origin,omitempty"` // written to a temporary file for the step; its path replaces OriginFile in Argv
	OK     []int    `json:"-"`                // exit codes beside 0 that mean success
	Read   LineFunc `json:"-"`                // progress from the lines of its output; may be nil
	// ProgressFD asks for a pipe whose number replaces ProgressFile in Argv; its
	// lines go to Read.
	ProgressFD bool `json:"-"`
	Show       bool `json:"-"` // its output is for the user, as it comes
	// Idle reports whether the program did nothing, by its output or exit code: the host
	// was already as requested. If nil, only the states before and after tell.
	Idle func(stdout, stderr string, code int) bool `json:"-"`
	// Skip, called just before the step, reports whether it has nothing left to do. May
	// be nil.
	Skip func(context.Context) (bool, error) `json:"-"`
	// Stop is the command that stops a daemon's work, if ending the program does not. May
	// be nil.
	Stop []string `json:"-"`
	// Enough, called after the step, returns a reason if the later steps have nothing
	// left to do; then the plan ends. May be nil.
	Enough func(context.Context) (why string, err error) `json:"-"`
	// Again is asked after a failure for another command to try instead, once; nil: none.
	Again func(*ToolError) []string `json:"-"`
	// Explain is for a step of another program than the updater; otherwise
	// Backend.Explain is used.
	Explain func(*ToolError) error `json:"-"`
}

// OriginFile, ProgressFile and ScratchDir are placeholders in a step's arguments for
// names that are known only when it runs. ScratchDir is a directory that all steps of the
// plan share and that is removed afterwards; it has "policy", an empty directory, and
// "frame", one with only an empty "usr".
const (
	OriginFile   = "{origin}"
	ProgressFile = "{progress}"
	ScratchDir   = "{scratch}"
)

// LineFunc reads one line of output; ok is false if it shows no progress.
type LineFunc func(line string) (p Progress, ok bool)

// Progress is the progress of a step. Total 0: unknown.
type Progress struct {
	Task  string `json:"task"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Bytes bool   `json:"bytes"` // else: steps or per cent
}

// Plan is the plan of a request. It is the output of --dry-run.
type Plan struct {
	Backend    Kind     `json:"backend"`
	Request    Request  `json:"request"`
	Steps      []Step   `json:"steps"`
	Effects    []string `json:"effects"`             // what changes, in sentences
	Warnings   []string `json:"warnings,omitempty"`  // to know before it is carried out
	Unchanged  string   `json:"unchanged,omitempty"` // why there is nothing to do; then Steps is empty
	NeedsRoot  bool     `json:"needs_root"`
	NeedsBoot  bool     `json:"needs_reboot"`
	Reversible bool     `json:"reversible"`
	Network    bool     `json:"network"` // it can take minutes
	StateHash  string   `json:"state_hash"`
}

// Nothing returns a plan without steps.
func Nothing(kind Kind, r Request, why string) *Plan {
	return &Plan{Backend: kind, Request: r, Unchanged: why, Reversible: true}
}

// Hash identifies a state: a plan for one is not applied to another.
func (s *State) Hash() string {
	type identity struct {
		ID                                   string
		Booted, Staged, Pinned, Locked, Next bool
	}
	var ids []identity
	for _, d := range s.Deployments {
		ids = append(ids, identity{d.ID, d.Booted, d.Staged, d.Pinned, d.Locked, d.Next})
	}
	data, _ := json.Marshal(struct { // cannot fail: plain data
		Kind    Kind
		Tracked string
		IDs     []identity
	}{s.Backend, s.Tracked, ids})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Finish completes a backend's plan: its effects are those of its steps, and a plan with
// a reason for no change has no steps.
func (p *Plan) Finish(kind Kind, r Request) *Plan {
	if p.Unchanged != "" {
		return Nothing(kind, r, p.Unchanged)
	}
	for _, s := range p.Steps {
		p.Effects = append(p.Effects, s.Effect)
	}
	return p
}
