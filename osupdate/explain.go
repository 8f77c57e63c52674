package osupdate

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// Rule maps an updater's message to a kind of failure. Pattern is matched against stderr
// and stdout; its first group, if it has one, replaces %s in Message.
type Rule struct {
	Pattern *regexp.Regexp
	Kind    *Problem
	Message string
	Hint    string
}

// NewRule compiles a rule; the pattern is a constant of the calling package.
func NewRule(pattern string, kind *Problem, message, hint string) Rule {
	return Rule{regexp.MustCompile(pattern), kind, message, hint}
}

// Explain applies the first rule that matches: the backend's, then those that every
// updater shares. An unknown failure is ErrBackend; a success (code 0) that none of the
// backend's own rules matches is nil. The error names the program that failed, which may
// be another one than the updater.
func Explain(kind Kind, rules []Rule, te *ToolError) error {
	if te.Code != 0 {
		rules = append(rules[:len(rules):len(rules)], commonRules(kind)...)
	}
	return explainTool(string(kind), rules, te)
}

// explainTool is Explain with the given rules only.
func explainTool(name string, rules []Rule, te *ToolError) error {
	if len(te.Argv) > 0 {
		name = filepath.Base(te.Argv[0])
	}
	text := te.Text()
	for _, r := range rules {
		m := r.Pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		e := fail.Wrap(r.Kind, te, "%s: %s", name, r.Message)
		if len(m) > 1 && strings.Contains(r.Message, "%s") {
			e = fail.Wrap(r.Kind, te, "%s: "+r.Message, name, firstOf(m[1:]))
		}
		return e.Hint("%s", r.Hint)
	}
	if te.Code == 0 {
		return nil
	}
	return fail.Wrap(ErrBackend, te, "%s failed", name).Hint("see all of its output with --verbose")
}

// NoHostImage is the rule for the message of ostree-rs-ext, in bootc and rpm-ostree
// alike, about an image that was made for containers.
func NoHostImage() Rule {
	return NewRule(`does not have (ostree\.bootable) label`, ErrNotFound,
		"the image is not a host system: it lacks the label %s", "name an image that is made for hosts")
}

func firstOf(groups []string) string {
	for _, g := range groups {
		if g != "" {
			return g
		}
	}
	return ""
}

// credentials returns the file of logins that an updater reads: it runs as root, and does
// not use the logins of a user's home.
func credentials(kind Kind) string {
	switch kind {
	case Bootc, RPMOSTree, OSTree:
		return "put the registry's login into /etc/ostree/auth.json, which root alone may read; logins of your home are not used"
	}
	return "log in as root, whose logins the updater uses: sudo podman login REGISTRY"
}

func commonRules(kind Kind) []Rule {
	return []Rule{
		NewRule(`(?i)no space left on device|ENOSPC|bootfs requires additional space|min-free-space|disk quota exceeded`, ErrSpace,
			"there is no space left on the disk",
			"free some: tbx host cleanup --rollback keeps the running system, podman image prune empties caches; see which disk: tbx host doctor"),
		NewRule(`(?i)signature was required|cryptographic signature verification failed|can't verify commit|no signatures? found|`+
			`no valid signatures|GPG (?:verification|signatures).*(?:failed|not found|no signatures)|BAD signature|`+
			`public key not found|signature verification failed`,
			ErrSignature,
			"the update is not signed by a key that this host trusts",
			"nothing was changed; wait for a signed update, or ask its maker whether the key has changed"),
		NewRule(`(?i)getting username and password|auth\.json|unauthorized: |denied: (?:requested )?access|access to the resource is denied|`+
			`no basic auth credentials|invalid username/password|authentication required to access|HTTP 401|HTTP 403|status(?: code)?:? 40[13]`,
			ErrPermission,
			"the registry or server needs other credentials", credentials(kind)),
		NewRule(`(?i)must be (?:executed|run) as (?:the )?root|requires? root|root (?:user|privileges?)|permission denied|`+
			`not authorized|not allowed for user|authentication is required|interactive authentication required|operation not permitted`,
			ErrPermission,
			"this user may not do that", "run it from a session that can ask for a password, or with sudo"),
		NewRule(`(?i)while fetching|could ?n.t (?:resolve|connect)|could not (?:resolve|connect)|name resolution|`+
			`connection (?:refused|reset|timed out)|network is unreachable|timed? ?out|no route to host|\bTLS\b|`+
			`pinging container registry|temporary failure|HTTP (?:4|5)\d\d|Server returned HTTP`, ErrNetwork,
			"the source of updates cannot be reached", "check the network and try again; the host is unchanged"),
	}
}
