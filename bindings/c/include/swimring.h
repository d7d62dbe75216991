/* Swimring: cluster membership for programs in C. Made by bindings/header from src/; see bindings/README.md.
 *
 * What is returned as a pointer is freed with the function of its name; NULL may be freed. Texts are UTF-8 and end with a
 * zero byte; those inside of what was returned live as long as it does. All functions may be called from any thread; one
 * subscription is used by one thread at a time. Those that fail say why in swimring_last_error().
 */

#ifndef SWIMRING_H
#define SWIMRING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// It is done.
#define SWIMRING_OK 0

// It failed: `swimring_last_error` says why.
#define SWIMRING_ERROR -1

// The time is up, and nothing has come.
#define SWIMRING_TIMEOUT 1

// The member has stopped: nothing will come any more.
#define SWIMRING_ENDED 2

// There is no such key or member.
#define SWIMRING_NONE 3

// The wire that a candidate was heard of on.
typedef enum SwimringWire {
  // Swimring's own, encrypted or not.
  SWIMRING_WIRE_NATIVE,
  // memberlist's.
  SWIMRING_WIRE_MEMBERLIST,
  // memberlist's with Serf's messages.
  SWIMRING_WIRE_SERF,
  // One of later releases.
  SWIMRING_WIRE_OTHER,
} SwimringWire;

// What a member is thought to be.
typedef enum SwimringState {
  // It lives.
  SWIMRING_STATE_ALIVE,
  // It is suspected, and may refute; it still counts as live.
  SWIMRING_STATE_SUSPECT,
  // It was declared dead.
  SWIMRING_STATE_DEAD,
  // It has left.
  SWIMRING_STATE_LEFT,
} SwimringState;

// What kind of thing has happened.
typedef enum SwimringEventKind {
  // A member is new, or back.
  SWIMRING_EVENT_KIND_JOINED,
  // A member changed its metadata or address.
  SWIMRING_EVENT_KIND_UPDATED,
  // A live member has started anew.
  SWIMRING_EVENT_KIND_RESTARTED,
  // A member is suspected; it still counts as live.
  SWIMRING_EVENT_KIND_SUSPECTED,
  // A suspected member is alive after all.
  SWIMRING_EVENT_KIND_RECOVERED,
  // A member was declared dead.
  SWIMRING_EVENT_KIND_FAILED,
  // A member said goodbye.
  SWIMRING_EVENT_KIND_LEFT,
  // A member that had failed or left is forgotten.
  SWIMRING_EVENT_KIND_REAPED,
  // A user event: `name` and `payload`, from `member` where that is known.
  SWIMRING_EVENT_KIND_USER,
  // A message to this member alone: `payload`, from `member`.
  SWIMRING_EVENT_KIND_MESSAGE,
  // A question to this member: `payload`, from `member`; `swimring_event_reply` answers it.
  SWIMRING_EVENT_KIND_QUESTION,
  // Others suspected this member, and it refuted.
  SWIMRING_EVENT_KIND_ACCUSED,
  // Others cannot reach this member at its address.
  SWIMRING_EVENT_KIND_UNREACHABLE,
  // Another process has this member's name.
  SWIMRING_EVENT_KIND_NAME_CONFLICT,
  // A member that is not in the view was refused, and stays out of it.
  SWIMRING_EVENT_KIND_NOT_ADMITTED,
  // So many events were lost to this subscription as `lost` says: look at the members again.
  SWIMRING_EVENT_KIND_LAGGED,
  // Something that later releases tell of.
  SWIMRING_EVENT_KIND_OTHER,
} SwimringEventKind;

// Bytes that belong to whoever got them.
typedef struct SwimringBytes SwimringBytes;

// A member of a cluster.
typedef struct SwimringCluster SwimringCluster;

// Something that happened.
typedef struct SwimringEvent SwimringEvent;

// A subscription to what happens.
typedef struct SwimringEvents SwimringEvents;

// Members of one moment.
typedef struct SwimringMembers SwimringMembers;

// A member that is not in the view, and may be admitted. It is what somebody says of it; that it has its public key has been checked.
typedef struct SwimringCandidate {
  // Its name.
  const char *name;
  // The address at which it says that it receives, as `10.0.0.1:7946`.
  const char *address;
  // Its zone; empty for none.
  const char *zone;
  // Its metadata.
  const uint8_t *metadata;
  // Bytes of metadata.
  size_t metadata_len;
  // The 32 bytes of its public key; NULL where members have no identities.
  const uint8_t *public_key;
  // The wire that it was heard of on.
  enum SwimringWire wire;
} SwimringCandidate;

// Says whether a candidate, which lives as long as the call, may come into the view. `context` is what `swimring_start_admitting` was given.
typedef bool (*SwimringAdmit)(const struct SwimringCandidate *candidate, void *context);

// A member as this one sees it. Texts and bytes live as long as the list.
typedef struct SwimringMember {
  // Its name.
  const char *name;
  // Its address, as `10.0.0.1:7946`.
  const char *address;
  // Its zone; empty for none.
  const char *zone;
  // Its metadata.
  const uint8_t *metadata;
  // Bytes of metadata.
  size_t metadata_len;
  // What it is thought to be.
  enum SwimringState state;
} SwimringMember;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The bytes; valid until they are freed.
//
// # Safety
// `bytes` was returned by this library and not freed; `len` is NULL or can be written.
const uint8_t *swimring_bytes(const struct SwimringBytes *bytes, size_t *len);

// Frees bytes.
//
// # Safety
// `bytes` is NULL or was returned by this library and not freed.
void swimring_bytes_free(struct SwimringBytes *bytes);

// Starts a member. `settings` is TOML, the same as a settings file: `name = "web-1"`, `bind = "10.0.0.1:7946"`,
// `retry_join = ["seed:7946"]`; all keys are in docs/SETTINGS.md. NULL if it cannot start.
//
// # Safety
// `settings` is NULL or a text.
struct SwimringCluster *swimring_start(const char *settings);

// The same, with a function that is asked about every member that is not known before it is taken into the view: true admits it.
// It is called on a thread of the library, one candidate at a time, and may block: that holds up the candidates behind it and nothing
// else. What it has not said within `admission_timeout_ms` the setting `admit_on_timeout` decides; its word is remembered for
// `admission_memory_ms`. `swimring_free` waits for a call that is under way, after which there is none, and so is not called from
// `admit`.
//
// # Safety
// `settings` is NULL or a text; `admit` may be called with `context` on another thread until `swimring_free` has returned.
struct SwimringCluster *swimring_start_admitting(const char *settings,
                                                 SwimringAdmit admit,
                                                 void *context);

// Stops the member at once, without a word, and frees it. Its port is free afterwards, and its subscriptions come to their end.
//
// # Safety
// `cluster` is NULL or was returned by `swimring_start` and not freed.
void swimring_free(struct SwimringCluster *cluster);

// The member's name; valid until it is freed.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed.
const char *swimring_name(const struct SwimringCluster *cluster);

// The member's address, as `10.0.0.1:7946`; valid until it is freed.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed.
const char *swimring_address(const struct SwimringCluster *cluster);

// Joins through the `count` members at `seeds`, each an address or a name with a port, and waits until one has answered, no
// longer than `timeout_ms`.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `seeds` leads to `count` texts.
int32_t swimring_join(const struct SwimringCluster *cluster,
                      const char *const *seeds,
                      size_t count,
                      uint32_t timeout_ms);

// The live members, this one among them, in no particular order; NULL if the member has stopped.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed.
struct SwimringMembers *swimring_members(const struct SwimringCluster *cluster);

// How many members there are.
//
// # Safety
// `members` was returned by `swimring_members` and not freed.
size_t swimring_members_count(const struct SwimringMembers *members);

// Fills `member` with the `nth`, counted from 0. SWIMRING_ERROR if there are not so many.
//
// # Safety
// `members` was returned by `swimring_members` and not freed; `member` can be written.
int32_t swimring_members_get(const struct SwimringMembers *members,
                             size_t nth,
                             struct SwimringMember *member);

// Frees a list of members.
//
// # Safety
// `members` is NULL or was returned by `swimring_members` and not freed.
void swimring_members_free(struct SwimringMembers *members);

// Publishes new metadata, at most 512 bytes.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `metadata` leads to `len` bytes.
int32_t swimring_update_metadata(const struct SwimringCluster *cluster, const uint8_t *metadata, size_t len);

// Sends a user event to every other member: name and payload have at most 512 bytes together. Returns once it is on its way.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `name` is a text and `payload` leads to `len` bytes.
int32_t swimring_send_event(const struct SwimringCluster *cluster,
                            const char *name,
                            const uint8_t *payload,
                            size_t len);

// Sends one datagram to the application of the member called `member`, once; it may be lost.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `member` is a text and `payload` leads to `len` bytes.
int32_t swimring_send(const struct SwimringCluster *cluster,
                      const char *member,
                      const uint8_t *payload,
                      size_t len);

// Sends up to 512 KiB to the application of the member called `member` over a stream, in order, and waits until it is there, no
// longer than `timeout_ms`. 0 does not wait.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `member` is a text and `payload` leads to `len` bytes.
int32_t swimring_send_reliable(const struct SwimringCluster *cluster,
                               const char *member,
                               const uint8_t *payload,
                               size_t len,
                               uint32_t timeout_ms);

// Asks the application of the member called `member`, and puts its reply into `reply`, to be freed with
// `swimring_bytes_free`; waits no longer than `timeout_ms`.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `member` is a text, `payload` leads to `len` bytes, and `reply`
// can be written.
int32_t swimring_ask(const struct SwimringCluster *cluster,
                     const char *member,
                     const uint8_t *payload,
                     size_t len,
                     uint32_t timeout_ms,
                     struct SwimringBytes **reply);

// Says goodbye, so that the others see this member as left instead of failed, and waits until that has been told, no longer
// than `timeout_ms`.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed.
int32_t swimring_leave(const struct SwimringCluster *cluster,
                       uint32_t timeout_ms);

// Why the last function that failed on this thread did, in a sentence; empty if none has. Valid until the next one fails.
const char *swimring_last_error(void);

// Subscribes to what happens from now on. Whoever does not keep up loses events, and is told how many. NULL if it cannot be.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed.
struct SwimringEvents *swimring_subscribe(const struct SwimringCluster *cluster);

// Waits for the next event, no longer than `timeout_ms`, and puts it into `event`, to be freed with
// `swimring_event_free`. SWIMRING_TIMEOUT if none has come, SWIMRING_ENDED if none will.
//
// # Safety
// `events` was returned by `swimring_subscribe`, not freed, and is used by no other thread meanwhile; `event` can be written.
int32_t swimring_events_next(struct SwimringEvents *events,
                             uint32_t timeout_ms,
                             struct SwimringEvent **event);

// Ends a subscription.
//
// # Safety
// `events` is NULL or was returned by `swimring_subscribe` and not freed.
void swimring_events_free(struct SwimringEvents *events);

// What kind of thing has happened.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed.
enum SwimringEventKind swimring_event_kind(const struct SwimringEvent *event);

// The member that it is about, or that it comes from; empty if there is none. Valid until the event is freed.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed.
const char *swimring_event_member(const struct SwimringEvent *event);

// The address that it is about; empty if there is none. Valid until the event is freed.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed.
const char *swimring_event_address(const struct SwimringEvent *event);

// The name of a user event; empty otherwise. Valid until the event is freed.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed.
const char *swimring_event_name(const struct SwimringEvent *event);

// The payload, and how many bytes it has in `len`. Valid until the event is freed.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed; `len` can be written.
const uint8_t *swimring_event_payload(const struct SwimringEvent *event, size_t *len);

// How many events were lost, for an event of that kind; 0 otherwise.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed.
uint64_t swimring_event_lost(const struct SwimringEvent *event);

// Replies to a question, with up to 512 KiB. Returns once the reply is on its way.
//
// # Safety
// `event` was returned by `swimring_events_next` and not freed; `payload` leads to `len` bytes.
int32_t swimring_event_reply(const struct SwimringEvent *event, const uint8_t *payload, size_t len);

// Frees an event.
//
// # Safety
// `event` is NULL or was returned by `swimring_events_next` and not freed.
void swimring_event_free(struct SwimringEvent *event);

// Sets a key: of this member, or of the cluster if `of_cluster`. Up to 64 KiB.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `key` is a text and `value` leads to `len` bytes.
int32_t swimring_state_set(const struct SwimringCluster *cluster,
                           bool of_cluster,
                           const char *key,
                           const uint8_t *value,
                           size_t len);

// Puts the value of a key into `value`, to be freed with `swimring_bytes_free`: of the member called `member`, or of the
// cluster if that is NULL. SWIMRING_NONE if it has none.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `member` is NULL or a text, `key` is a text, and `value` can be
// written.
int32_t swimring_state_get(const struct SwimringCluster *cluster,
                           const char *member,
                           const char *key,
                           struct SwimringBytes **value);

// Deletes a key: of this member, or of the cluster if `of_cluster`. SWIMRING_NONE if it has no value.
//
// # Safety
// `cluster` was returned by `swimring_start` and not freed; `key` is a text.
int32_t swimring_state_delete(const struct SwimringCluster *cluster, bool of_cluster, const char *key);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SWIMRING_H */
