package integration

// Environment is the key of the caller's variables that no other integration names.
const Environment = "environment"

var environment = Integration{
	Key: Environment, What: "the environment variables of the caller",
	How: "see [environment.md](environment.md)",
}
