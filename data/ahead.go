package data

// ahead decodes the images of one step while the step before it runs.
type ahead struct {
	lazy          *lazy
	current, next stepImages
	done          chan struct{} // closed when next is complete
}

// stepImages are the decoded images of a step.
type stepImages struct {
	step  int // -1 for none
	place map[uint32]int
	bytes []byte
}

func newAhead(l *lazy) *ahead {
	return &ahead{lazy: l, current: stepImages{step: -1}, next: stepImages{step: -1}}
}

// load makes a step the current one: that decoded ahead, if it is the one.
func (a *ahead) load(step int, needs func() []uint32) {
	if a.current.step == step {
		return
	}
	if a.next.step != step {
		a.begin(step, needs())
	}
	<-a.done
	a.current, a.next = a.next, a.current
	a.next.step = -1
}

// begin starts to decode what a step needs and is not kept anyway.
func (a *ahead) begin(step int, needs []uint32) {
	if a.next.step == step {
		return
	}
	if a.next.step >= 0 {
		<-a.done // it was for nothing: steps went another way
	}
	a.next.step, a.next.place = step, map[uint32]int{}
	var numbers []uint32
	for _, i := range needs {
		if _, twice := a.next.place[i]; !twice && a.lazy.kept[i] == nil {
			a.next.place[i] = len(numbers)
			numbers = append(numbers, i)
		}
	}
	if want := len(numbers) * a.lazy.size; cap(a.next.bytes) < want {
		a.next.bytes = make([]byte, want)
	}
	done, dst := make(chan struct{}), a.next.bytes[:len(numbers)*a.lazy.size]
	a.next.bytes, a.done = dst, done
	go func() {
		defer close(done)
		a.lazy.fill(dst, numbers)
	}()
}

// image returns an image of the current step; nil where it was not decoded for it.
func (a *ahead) image(i uint32) []byte {
	k, ok := a.current.place[i]
	if !ok {
		return nil
	}
	return a.current.bytes[k*a.lazy.size : (k+1)*a.lazy.size]
}
