package layers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/carry"
)

// Carry makes tbx-box carry out an order of package carry.
func (s Space) Carry(ctx context.Context, order *carry.Order) (*carry.Answer, error) {
	in, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	cmd := s.command(ctx, s.Helper, "carry")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	answer := &carry.Answer{}
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fail.Wrap(nil, err, "the toolbox's contents cannot be brought along: %s", escape.Text(strings.TrimSpace(errs.String())))
	}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		e := fail.New(nil, "the toolbox's contents cannot be brought along: %s", escape.Text(answer.Error))
		if strings.Contains(answer.Error, "no space left") {
			e.Hint("make room: see df -h and podman system df")
		}
		return nil, e
	}
	return answer, nil
}

// PackPaths writes the paths of a carry.Order to an archive.
func (s Space) PackPaths(ctx context.Context, order *carry.Order, out io.Writer) error {
	in, err := json.Marshal(order)
	if err == nil {
		err = s.pack(ctx, bytes.NewReader(in), out, "carry")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fail.Wrap(nil, err, "what was put into the toolbox cannot be copied").Hint("if it changed meanwhile, try again")
	}
	return nil
}
