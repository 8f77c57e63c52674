package integration

// GPGAgent is the key of the gpg agent.
const GPGAgent = "gpg-agent"

var gpgAgent = Integration{
	Key: GPGAgent, What: "the gpg agent",
	How:       "the sockets in the runtime directory",
	Variables: []string{"GPG_AGENT_INFO", "GPG_TTY"},
	Runtime:   func(*Facts) []string { return []string{"gnupg"} },
}
