package osupdate

import (
	"regexp"

	"github.com/tbx-project/tbx/internal/fail"
)

// Rule maps what an updater prints to a kind of failure. Pattern is matched
// against stderr and stdout; its first group, where there is one, is put into
// Message in the place of %s.
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

// Explain applies the first rule that matches: the backend's, then those that
// every updater shares. A failure that none knows is ErrBackend; a success (code
// 0) that none of the backend's own rules knows is nil.
func Explain(kind Kind, rules []Rule, te *ToolError) error {
	text := te.Text()
	if te.Code != 0 {
		rules = append(rules[:len(rules):len(rules)], commonRules()...)
	}
	for _, r := range rules {
		m := r.Pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		e := fail.Wrap(r.Kind, te, "%s: %s", kind, r.Message)
		if len(m) > 1 {
			e = fail.Wrap(r.Kind, te, "%s: "+r.Message, kind, m[1])
		}
		return e.Hint("%s", r.Hint)
	}
	if te.Code == 0 {
		return nil
	}
	return fail.Wrap(ErrBackend, te, "%s failed", kind).Hint("see all that it said with --verbose")
}

func commonRules() []Rule {
	return []Rule{
		NewRule(`(?i)no space left on device|ENOSPC|bootfs requires additional space|min-free-space`, ErrSpace,
			"there is no space left on the disk", "free some: tbx host cleanup --rollback keeps the running system, podman image prune empties caches"),
		NewRule(`(?i)signature was required|cryptographic signature verification failed|can't verify commit|no signatures? found|no valid signatures|GPG (?:verification|signatures).*(?:failed|not found|no signatures)|BAD signature|public key not found`, ErrSignature,
			"the update is not signed by a key that this host trusts", "nothing was changed; wait for a signed update, or ask its maker whether the key has changed"),
		NewRule(`(?i)must be (?:executed|run) as (?:the )?root|requires? root|root (?:user|privileges)|permission denied|not authorized|authentication is required|operation not permitted`, ErrPermission,
			"it may not do that as this user", "run it from a session that can ask for a password, or with sudo"),
		NewRule(`(?i)while fetching|could ?n.t resolve|could not resolve|name resolution|connection (?:refused|reset|timed out)|network is unreachable|timed? ?out|no route to host|TLS|pinging container registry|temporary failure|HTTP 5\d\d|Server returned HTTP`, ErrNetwork,
			"the source of updates cannot be reached", "check the network and try again; the host is unchanged"),
	}
}
