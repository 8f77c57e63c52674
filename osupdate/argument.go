package osupdate

import (
	"regexp"
	"slices"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/pattern"
)

// Argument is one argument of a verb: a field of [Request], its form, and its place on
// the command line.
type Argument struct {
	Flag     string   // name of its flag; empty: it stands after the command
	Place    string   // its value in help texts: "SYSTEM"; empty: a switch without a value
	Usage    string   // one line of help, for a flag
	Wants    string   // the command's need there: "one system"
	Required string   // the error's cause if it is missing; empty: optional
	Hint     string   // the next step then
	Choices  []string // the only values; empty: any of its form

	kind  string                // noun for error messages: "version or digest"
	form  func() *regexp.Regexp // of each value; nil for switches and choices
	field *field
	word  string // a switch that puts this word into a list
}

// field is a part of a Request.
type field struct {
	name   string // in messages
	flag   string // before each of its values in Words
	text   func(*Request) *string
	list   func(*Request) *[]string
	toggle func(*Request) *bool
}

var (
	targetField    = &field{name: "target", text: func(r *Request) *string { return &r.Target }}
	packagesField  = &field{name: "packages", list: func(r *Request) *[]string { return &r.Packages }}
	fromField      = &field{name: "repository", flag: "--from=", text: func(r *Request) *string { return &r.From }}
	appendField    = &field{name: "kernel arguments to append", flag: "--append=", list: func(r *Request) *[]string { return &r.Append }}
	deleteField    = &field{name: "kernel arguments to delete", flag: "--delete=", list: func(r *Request) *[]string { return &r.Delete }}
	dracutField    = &field{name: "arguments of dracut", flag: "--arg=", list: func(r *Request) *[]string { return &r.Dracut }}
	partsField     = &field{name: "parts", flag: "--", list: func(r *Request) *[]string { return &r.Parts }}
	downgradeField = &field{name: "--allow-downgrade", flag: "--allow-downgrade", toggle: func(r *Request) *bool { return &r.AllowDowngrade }}
	softField      = &field{name: "--soft", flag: "--soft", toggle: func(r *Request) *bool { return &r.Soft }}
	despiteField   = &field{name: "--despite-users", flag: "--despite-users", toggle: func(r *Request) *bool { return &r.DespiteUsers }}
	successorField = &field{name: "--successor", flag: "--successor", toggle: func(r *Request) *bool { return &r.Successor }}
	downloadField  = &field{name: "--download-only", flag: "--download-only", toggle: func(r *Request) *bool { return &r.DownloadOnly }}
)

// fields are all parts of a Request except its verb, in the order of Words.
func fields() []*field {
	return []*field{targetField, packagesField, fromField, appendField, deleteField, dracutField, partsField, downgradeField, downloadField,
		softField, despiteField, successorField}
}

var (
	targetForm  = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9._:/@+~=-]*$`)
	indexForm   = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9._:+-]*$`)
	packageForm = pattern.Lazy(`^@?[A-Za-z0-9][A-Za-z0-9._+:~^()-]*$`)
	// packageOrFileForm also accepts an absolute path of an RPM package.
	packageOrFileForm = pattern.Lazy(`^(?:@?[A-Za-z0-9][A-Za-z0-9._+:~^()-]*|/[A-Za-z0-9._+:~^@=/-]+\.rpm)$`)
	directoryForm     = pattern.Lazy(`^/[A-Za-z0-9._+:~^@=/-]+$`)
	// kargForm allows white space only between double quotes, as the kernel reads it.
	kargForm   = pattern.Lazy(`^[A-Za-z0-9_](?:[!#-~]|"[ !#-~]*")*$`)
	dracutForm = pattern.Lazy(`^--(?:(?:add|force-add|omit|add-drivers|force-drivers|omit-drivers|filesystems)` +
		`=[A-Za-z0-9][A-Za-z0-9._ -]*|hostonly|no-hostonly)$`)
)

// values returns the values of the field in r; a switch that is on has one, empty.
func (f *field) values(r *Request) []string {
	switch {
	case f.text != nil && *f.text(r) != "":
		return []string{*f.text(r)}
	case f.list != nil:
		return *f.list(r)
	case f.toggle != nil && *f.toggle(r):
		return []string{""}
	}
	return nil
}

// Set puts a value from the command line into r. For a switch it is ignored.
func (a *Argument) Set(r *Request, value string) {
	switch {
	case a.field.text != nil:
		*a.field.text(r) = value
	case a.word != "":
		*a.field.list(r) = append(*a.field.list(r), a.word)
	case a.field.list != nil:
		*a.field.list(r) = append(*a.field.list(r), value)
	default:
		*a.field.toggle(r) = true
	}
}

// Many reports whether the argument may be given several times.
func (a *Argument) Many() bool { return a.field.list != nil && a.word == "" }

// longest is the limit for a value, in bytes: no name or argument of an updater comes
// near it.
const longest = 1000

// check refuses a value that is not of the argument's form.
func (a *Argument) check(verb Verb, value string) error {
	switch {
	case len(value) > longest:
		return fail.New(fail.Usage, "%s: %q is not a word of at most %d characters", verb, value[:20]+"…", longest)
	case len(a.Choices) > 0 && !slices.Contains(a.Choices, value):
		return fail.New(fail.Usage, "%s: %q is not a %s", verb, value, a.kind)
	case a.form == nil || a.form().MatchString(value):
		return nil
	case a.field == dracutField: // other arguments name files that root would read, or run
		return fail.New(fail.Usage, "%s: the argument %q of dracut is not one that tbx passes on", verb, value).
			Hint("those are --add, --force-add, --omit, --add-drivers, --force-drivers, --omit-drivers and --filesystems, each with =NAME, " +
				"--hostonly and --no-hostonly").
			Hint("others belong into a file of /etc/dracut.conf.d")
	}
	err := fail.New(fail.Usage, "%s: %q is not a %s", verb, value, a.kind)
	switch {
	case a.Hint != "":
		err.Hint("%s", a.Hint)
	case a.field == appendField || a.field == deleteField:
		err.Hint("each has a flag of its own; white space stands between double quotes: --%s 'a=\"b c\"'", a.Flag)
	}
	return err
}
