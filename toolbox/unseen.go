package toolbox

import (
	"encoding/json"
	"path/filepath"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/helper"
	"github.com/tbx-project/tbx/toolbox/join"
)

// unseen composes a session without looking into the toolbox. tbx-box finds its directory
// inside; podman would take another one of that name, or fail with a message of its own.
func (p *Session) unseen() (*join.Session, error) {
	begin, err := p.beginning()
	if err != nil {
		return nil, err
	}
	args, err := p.command()
	if err != nil {
		return nil, err
	}
	first := begin.Places[0].Dir
	s := &join.Session{Args: args, Dir: filepath.Join(first, begin.Below), Env: p.env(filepath.Join(first, begin.Below))}
	if p.Record.Box != "" { // else the toolbox is Toolbx's own
		order, err := json.Marshal(begin)
		if err != nil {
			return nil, err
		}
		s.Args, s.Dir = append([]string{p.Record.Box, "begin", string(order)}, args...), "/"
	}
	return s, nil
}

// beginning returns the order to find the session's directory inside, as workDir does
// from outside.
func (p *Session) beginning() (*helper.Beginning, error) {
	want, r := p.opts.WorkDir, p.Record
	if filepath.IsAbs(want) {
		return saying(fail.New(fail.NotFound, "no session can begin in directory %s of toolbox %s", escape.Text(want), r.Name),
			helper.Beginning{Places: []helper.BeginAt{{Dir: want}}}), nil
	}
	at, why := whereabouts(p.host.Env)
	shell := len(p.opts.Args) == 0 && want == ""
	if why != nil && !shell {
		return nil, &ExitError{ExitFailed, why}
	}
	b := helper.Beginning{Below: want}
	if why == nil {
		why = p.whyNot(at.way)
		b.Dev, b.Ino = at.stat.Dev, at.stat.Ino
		b.Places = p.places(at)
	}
	if shell {
		b.Instead = []string{r.Home, "/"}
	}
	if len(b.Places) == 0 {
		b.Places = []helper.BeginAt{{Dir: r.Home}}
		p.opts.Warn(why.Error() + "; using " + r.Home)
	}
	return saying(why, b), nil
}

// places lists where the caller's directory may be inside, in the order of join's
// WorkDir.
func (p *Session) places(at *spot) []helper.BeginAt {
	if p.Record.Box == "" { // Toolbx's own, where no part of tbx can look
		return []helper.BeginAt{{Dir: p.Record.BoxPath(at.way)}}
	}
	var places []helper.BeginAt
	_, shared := p.Record.Shared(at.cwd)
	for _, path := range []string{at.way, at.cwd} {
		inside, is := p.Record.Shared(path)
		if !is {
			inside = path
		}
		places = append(places, helper.BeginAt{Dir: inside, Same: true})
	}
	if !shared {
		places = append(places, helper.BeginAt{Dir: at.cwd})
	}
	if p.Record.HostFiles {
		places = append(places, helper.BeginAt{Dir: join.HostView + at.cwd, Same: true})
	}
	return places
}

func saying(why error, b helper.Beginning) *helper.Beginning {
	b.Why, b.Hints = why.Error(), fail.Hints(why)
	return &b
}
