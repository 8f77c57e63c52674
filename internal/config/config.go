// Package config reads tbx's configuration: /etc/tbx/config.toml, then the user's. It is
// strict, because the user would rely on a key that is silently ignored. It checks keys
// and types; the meaning of a value is the business of the package that uses it.
package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/ownfile"
	"github.com/tbx-project/tbx/internal/tomlfile"
)

// Config is the effective configuration.
type Config struct {
	General     General     `toml:"general"`
	Prompt      Prompt      `toml:"prompt"`
	Terminal    Terminal    `toml:"terminal"`
	Environment Environment `toml:"environment"`
	Images      Images      `toml:"images"`
	Snapshots   Snapshots   `toml:"snapshots"`
	Host        Host        `toml:"host"`
	Bridge      Bridge      `toml:"bridge"`
}

// General holds the settings of Toolbx's [general], and the default toolbox.
type General struct {
	Toolbox string `toml:"toolbox"` // the toolbox of enter and run without a name
	Distro  string `toml:"distro"`  // for create without --distro or --image
	Release string `toml:"release"`
	Image   string `toml:"image"`
}

// Prompt configures what the shell's prompt shows in a toolbox.
type Prompt struct {
	Enabled bool   `toml:"enabled"`
	Format  string `toml:"format"` // %s is the toolbox's name
}

// Terminal configures the messages to the terminal.
type Terminal struct {
	Announce bool `toml:"announce"` // OSC 777: terminals open new tabs in the same toolbox
	Title    bool `toml:"title"`    // the window's title names the toolbox
}

// Environment configures the caller's variables in a toolbox.
type Environment struct {
	Block []string `toml:"block"` // exact names that do not reach it
}

// Images configures the use of images and registries.
type Images struct {
	RequireSignature bool `toml:"require_signature"` // take only images that a trusted key has signed
	StallSeconds     int  `toml:"stall_seconds"`     // the longest silence of a registry during a pull
}

// Snapshots chooses the snapshots of a toolbox that pruning keeps. 0 and "" mean no
// limit.
type Snapshots struct {
	KeepLast int    `toml:"keep_last"` // this many of the newest
	KeepDays int    `toml:"keep_days"` // those not older than this
	MaxSize  string `toml:"max_size"`  // the newest, up to this size together, such as 20g
}

// Host configures `tbx host`.
type Host struct {
	Elevate string `toml:"elevate"` // how it becomes root: one of Elevations
}

// Bridge configures the agent that runs host commands for toolboxes.
type Bridge struct {
	LogArguments bool `toml:"log_arguments"` // the audit log has the arguments of commands, not only their names
}

// Elevations are the ways to become root, see package privileged.
func Elevations() []string { return []string{"auto", "pkexec", "run0", "sudo", "none"} }

// Default returns the configuration without any file.
func Default() Config {
	return Config{
		Prompt:   Prompt{Enabled: true, Format: "⬢ %s "},
		Terminal: Terminal{Announce: true, Title: true},
		Images:   Images{StallSeconds: 90},

		Snapshots: Snapshots{KeepLast: 10},

		Host:   Host{Elevate: "auto"},
		Bridge: Bridge{LogArguments: true},
	}
}

// Load reads the files in order, later ones winning key by key. A missing file is no
// error. An unreadable or untrusted file (ownfile.ReadIfThere), an unknown key, or a
// value of the wrong type is an error with file and line.
func Load(files ...string) (Config, error) {
	c := Default()
	for _, file := range files {
		data, err := ownfile.ReadIfThere(file)
		if err != nil {
			return c, err
		}
		if data == nil {
			continue
		}
		if err := decode(file, string(data), &c); err != nil {
			return c, err
		}
	}
	if strings.Count(c.Prompt.Format, "%") != strings.Count(c.Prompt.Format, "%s") || strings.Count(c.Prompt.Format, "%s") > 1 {
		return c, fail.New(fail.Usage, "[prompt] format %q: it may hold %%s once, for the toolbox's name, and no other %%", c.Prompt.Format)
	}
	if strings.ContainsFunc(c.Prompt.Format, unicode.IsControl) {
		return c, fail.New(fail.Usage, "[prompt] format %s: it must not hold control characters", escape.Quote(c.Prompt.Format)).
			Hint("your shell can add colours")
	}
	if c.Images.StallSeconds < 1 {
		return c, fail.New(fail.Usage, "[images] stall_seconds %d: it must be at least 1", c.Images.StallSeconds)
	}
	if !slices.Contains(Elevations(), c.Host.Elevate) {
		return c, fail.New(fail.Usage, "[host] elevate %q: it must be one of %s", c.Host.Elevate, strings.Join(Elevations(), ", "))
	}
	return c, nil
}

func decode(file, text string, c *Config) error {
	err := tomlfile.Decode(file, []byte(text), c)
	var mistake *tomlfile.Error
	if !errors.As(err, &mistake) {
		return err
	}
	e := fail.Wrap(fail.Usage, mistake, "")
	switch {
	case len(mistake.Near) > 0:
		return e.Hint("%s", mistake.DidYouMean())
	case mistake.Key != "":
		return e.Hint("docs/config.md lists the keys")
	}
	return e.Hint("correct that line, or move the file away")
}
