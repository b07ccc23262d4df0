package acme

import "time"

// Step is what is being done to a certificate.
type Step string

// The steps, in the order in which they happen.
const (
	StepCAA       Step = "caa"       // looks whether the names may be issued for
	StepOrder     Step = "order"     // orders, or goes on with an order
	StepPresent   Step = "present"   // publishes the challenges
	StepReady     Step = "ready"     // waits until the nameservers answer them
	StepValidate  Step = "validate"  // the authority looks
	StepFinalize  Step = "finalize"  // hands in the request
	StepIssued    Step = "issued"    // the certificate is on disk
	StepPublished Step = "published" // Publish took it
	StepKept      Step = "kept"      // nothing was due
	StepRevoked   Step = "revoked"
	StepPutOff    Step = "put off" // a nameserver isn't ready; tried again later
	StepFailed    Step = "failed"  // tried again later
)

// Event is one step of one certificate, as it happens.
type Event struct {
	Certificate string
	Step        Step
	At          time.Time
	Text        string // for the operator; may be empty
	Err         error  // why it failed, was put off, or goes on without
}

// event tells the log and whoever listens.
func (j *job) event(step Step, text string, err error) {
	j.step(step)
	args := []any{"certificate", j.cert.name, "step", string(step), "text", text}
	switch {
	case step == StepFailed || step == StepPutOff:
		j.Log.Error("certificate", append(args, "err", err)...)
	case err != nil:
		j.Log.Warn("certificate", append(args, "err", err)...)
	default:
		j.Log.Info("certificate", args...)
	}
	if j.progress != nil {
		j.progress(Event{Certificate: j.cert.name, Step: step, At: j.Clock.Now(), Text: text, Err: err})
	}
}

// step notes what is under way, for the status; "" when it ended.
func (j *job) step(step Step) {
	j.cert.mu.Lock()
	defer j.cert.mu.Unlock()
	j.cert.doing = string(step)
}
