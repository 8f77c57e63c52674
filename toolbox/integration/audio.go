package integration

// Audio is the key of the sound servers.
const Audio = "audio"

var audio = Integration{
	Key: Audio, What: "PipeWire and PulseAudio",
	How: "sockets in the runtime directory",
	Variables: []string{
		"PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR", "PULSE_COOKIE", "PULSE_LATENCY_MSEC", "PULSE_RUNTIME_PATH", "PULSE_SERVER", "PULSE_SINK",
		"PULSE_SOURCE",
	},
	Runtime: func(*Facts) []string { return []string{"pulse", "pipewire-0"} },
}
