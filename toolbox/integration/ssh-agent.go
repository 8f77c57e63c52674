package integration

// SSHAgent is the key of the ssh agent.
const SSHAgent = "ssh-agent"

var sshAgent = Integration{
	Key: SSHAgent, What: "the ssh agent",
	How:       "`SSH_AUTH_SOCK`, wherever the socket is",
	Variables: []string{"SSH_AGENT_PID", "SSH_AUTH_SOCK"},
	Runtime:   func(*Facts) []string { return []string{"keyring", "ssh-agent.socket", "openssh_agent"} },
}
