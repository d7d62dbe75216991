package main

// What memberlist knows and does not say: the state and incarnation of each member as one member sees it, and how
// many messages its worker has not handled yet. Read from its unexported fields, whose layout is checked at start
// against the version that go.mod pins.

import (
	"container/list"
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// nodeState has the layout of memberlist's type of that name.
type nodeState struct {
	memberlist.Node
	Incarnation uint32
	State       memberlist.NodeStateType
	StateChange time.Time
}

// checkInside says whether the layouts assumed here are those of the memberlist that was built in.
func checkInside() error {
	whole := reflect.TypeFor[memberlist.Memberlist]()
	for name, want := range map[string]reflect.Type{
		"nodeLock":             reflect.TypeFor[sync.RWMutex](),
		"msgQueueLock":         reflect.TypeFor[sync.Mutex](),
		"highPriorityMsgQueue": reflect.TypeFor[*list.List](),
		"lowPriorityMsgQueue":  reflect.TypeFor[*list.List](),
		"broadcasts":           reflect.TypeFor[*memberlist.TransmitLimitedQueue](),
	} {
		field, ok := whole.FieldByName(name)
		if !ok || field.Type != want {
			return fmt.Errorf("this version of memberlist has another %s: adapt inside.go", name)
		}
	}
	nodes, ok := whole.FieldByName("nodes")
	if !ok || nodes.Type.Kind() != reflect.Slice || nodes.Type.Elem().Kind() != reflect.Pointer {
		return fmt.Errorf("this version of memberlist keeps its members otherwise: adapt inside.go")
	}
	theirs, ours := nodes.Type.Elem().Elem(), reflect.TypeFor[nodeState]()
	if theirs.NumField() != ours.NumField() {
		return fmt.Errorf("this version of memberlist has another nodeState: adapt inside.go")
	}
	for i := range ours.NumField() {
		a, b := theirs.Field(i), ours.Field(i)
		if a.Name != b.Name || a.Type != b.Type || a.Offset != b.Offset {
			return fmt.Errorf("this version of memberlist has another nodeState.%s: adapt inside.go", a.Name)
		}
	}
	return nil
}

func inside[T any](m *memberlist.Memberlist, field string) *T {
	return (*T)(unsafe.Pointer(reflect.ValueOf(m).Elem().FieldByName(field).UnsafeAddr()))
}

// stateOf is the state around a node that memberlist hands to a delegate. Only to be read inside the callback.
func stateOf(node *memberlist.Node) *nodeState {
	return (*nodeState)(unsafe.Pointer(node))
}

// nodeStates copies what a member knows of all members, the dead and the departed included.
func nodeStates(m *memberlist.Memberlist) []nodeState {
	lock := inside[sync.RWMutex](m, "nodeLock")
	lock.RLock()
	defer lock.RUnlock()
	nodes := *inside[[]*nodeState](m, "nodes")
	states := make([]nodeState, len(nodes))
	for i, node := range nodes {
		states[i] = *node
	}
	return states
}

// unhandled is how many received messages wait for the worker.
func unhandled(m *memberlist.Memberlist) int {
	lock := inside[sync.Mutex](m, "msgQueueLock")
	lock.Lock()
	defer lock.Unlock()
	return (*inside[*list.List](m, "highPriorityMsgQueue")).Len() + (*inside[*list.List](m, "lowPriorityMsgQueue")).Len()
}

// membershipBroadcasts is the queue of membership updates that a member still spreads.
func membershipBroadcasts(m *memberlist.Memberlist) *memberlist.TransmitLimitedQueue {
	return *inside[*memberlist.TransmitLimitedQueue](m, "broadcasts")
}

func stateName(state memberlist.NodeStateType) string {
	switch state {
	case memberlist.StateAlive:
		return "alive"
	case memberlist.StateSuspect:
		return "suspect"
	case memberlist.StateDead:
		return "dead"
	case memberlist.StateLeft:
		return "left"
	default:
		return fmt.Sprintf("state %d", state)
	}
}
