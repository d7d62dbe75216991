/* Two members in one program: they meet, and say to each other all that can be said. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "swimring.h"

#define PATIENCE_MS 30000
#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #what, swimring_last_error());                    \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* The next event of a kind; others are passed over. */
static SwimringEvent *wait_for(SwimringEvents *events, SwimringEventKind kind) {
    SwimringEvent *event = NULL;
    for (;;) {
        CHECK(swimring_events_next(events, PATIENCE_MS, &event) == SWIMRING_OK);
        if (swimring_event_kind(event) == kind) return event;
        swimring_event_free(event);
    }
}

static int holds(const uint8_t *bytes, size_t len, const char *text) {
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

/* Answers one question. */
static void *answer(void *events) {
    SwimringEvent *question = wait_for(events, SWIMRING_EVENT_KIND_QUESTION);
    size_t len = 0;
    const uint8_t *asked = swimring_event_payload(question, &len);
    CHECK(holds(asked, len, "how many?"));
    CHECK(strcmp(swimring_event_member(question), "one") == 0);
    CHECK(swimring_event_reply(question, (const uint8_t *)"17", 2) == SWIMRING_OK);
    CHECK(swimring_event_reply(question, (const uint8_t *)"18", 2) == SWIMRING_ERROR);
    swimring_event_free(question);
    return NULL;
}

static void bytes_are(SwimringBytes *bytes, const char *text) {
    size_t len = 0;
    const uint8_t *start = swimring_bytes(bytes, &len);
    CHECK(holds(start, len, text));
    swimring_bytes_free(bytes);
}

/* What a program says of candidates. */
typedef struct {
    atomic_int asked, blocked;
} Door;

/* Only those whose names do not begin with x. The slow one is said nothing of until the member is freed. */
static bool admit(const SwimringCandidate *candidate, void *context) {
    Door *door = context;
    CHECK(candidate->wire == SWIMRING_WIRE_NATIVE && candidate->public_key == NULL);
    CHECK(holds(candidate->metadata, candidate->metadata_len, ""));
    CHECK(strncmp(candidate->address, "127.0.0.1:", 10) == 0 && strcmp(candidate->zone, "south") == 0);
    atomic_fetch_add(&door->asked, 1);
    while (strcmp(candidate->name, "slow") == 0 && atomic_load(&door->blocked) == 1) sched_yield();
    return candidate->name[0] != 'x';
}

static SwimringCluster *start_in_the_south(const char *name) {
    char settings[200];
    snprintf(settings, sizeof settings, "name = \"%s\"\nbind = \"127.0.0.1:0\"\npreset = \"local\"\nzone = \"south\"", name);
    return swimring_start(settings);
}

static void *open_door(void *context) {
    Door *door = context;
    /* Longer than a member takes to shut down otherwise. */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    atomic_store(&door->blocked, 0);
    return NULL;
}

static void admission(void) {
    Door door = {0, 1};
    const char *settings = "name = \"door\"\nbind = \"127.0.0.1:0\"\npreset = \"local\"\nadmission_timeout_ms = 500\nadmit_on_timeout = true";
    CHECK(swimring_start_admitting(settings, NULL, NULL) == NULL && strstr(swimring_last_error(), "admit") != NULL);
    SwimringCluster *here = swimring_start_admitting(settings, admit, &door);
    CHECK(here != NULL);
    SwimringEvents *events = swimring_subscribe(here);
    SwimringCluster *in = start_in_the_south("in"), *out = start_in_the_south("xout"), *slow = start_in_the_south("slow");
    CHECK(in != NULL && out != NULL && slow != NULL);
    const char *seeds[] = {swimring_address(here)};
    CHECK(swimring_join(in, seeds, 1, PATIENCE_MS) == SWIMRING_OK);
    SwimringEvent *event = wait_for(events, SWIMRING_EVENT_KIND_JOINED);
    CHECK(strcmp(swimring_event_member(event), "in") == 0);
    swimring_event_free(event);
    /* It is answered, and not taken in. */
    swimring_join(out, seeds, 1, 1000);
    event = wait_for(events, SWIMRING_EVENT_KIND_NOT_ADMITTED);
    CHECK(strcmp(swimring_event_member(event), "xout") == 0);
    CHECK(strcmp(swimring_event_address(event), swimring_address(out)) == 0);
    swimring_event_free(event);
    /* The function says nothing: admitted by the setting, and everything else goes on. */
    swimring_join(slow, seeds, 1, 1000);
    event = wait_for(events, SWIMRING_EVENT_KIND_JOINED);
    CHECK(strcmp(swimring_event_member(event), "slow") == 0);
    swimring_event_free(event);
    CHECK(atomic_load(&door.asked) == 3 && atomic_load(&door.blocked) == 1);
    swimring_events_free(events);
    /* Freeing it waits for the call that is under way. */
    pthread_t opening;
    CHECK(pthread_create(&opening, NULL, open_door, &door) == 0);
    swimring_free(here);
    CHECK(atomic_load(&door.blocked) == 0);
    CHECK(pthread_join(opening, NULL) == 0);
    swimring_free(in);
    swimring_free(out);
    swimring_free(slow);
}

int main(void) {
    CHECK(swimring_start("no toml at all") == NULL && strlen(swimring_last_error()) > 0);
    CHECK(swimring_start("name = \"one\"\nprobe_intervall_ms = 5") == NULL);
    CHECK(strstr(swimring_last_error(), "probe_interval_ms") != NULL);
    CHECK(swimring_start(NULL) == NULL);

    SwimringCluster *one = swimring_start("name = \"one\"\nbind = \"127.0.0.1:0\"\npreset = \"local\"");
    CHECK(one != NULL);
    SwimringCluster *two = swimring_start("name = \"two\"\nbind = \"127.0.0.1:0\"\npreset = \"local\"\nzone = \"north\"");
    CHECK(two != NULL);
    CHECK(strcmp(swimring_name(one), "one") == 0);
    SwimringEvents *at_one = swimring_subscribe(one), *at_two = swimring_subscribe(two);
    CHECK(at_one != NULL && at_two != NULL);

    const char *seeds[] = {swimring_address(one)};
    const char *nobody[] = {"127.0.0.1:1"};
    CHECK(swimring_join(two, nobody, 1, PATIENCE_MS) == SWIMRING_ERROR);
    CHECK(strstr(swimring_last_error(), "127.0.0.1:1") != NULL);
    CHECK(swimring_join(two, seeds, 1, PATIENCE_MS) == SWIMRING_OK);

    SwimringEvent *joined = wait_for(at_one, SWIMRING_EVENT_KIND_JOINED);
    CHECK(strcmp(swimring_event_member(joined), "two") == 0);
    CHECK(strcmp(swimring_event_address(joined), swimring_address(two)) == 0);
    swimring_event_free(joined);

    SwimringMembers *members = swimring_members(one);
    CHECK(swimring_members_count(members) == 2);
    int north = 0;
    for (size_t nth = 0; nth < 2; nth++) {
        SwimringMember member;
        CHECK(swimring_members_get(members, nth, &member) == SWIMRING_OK);
        CHECK(member.state == SWIMRING_STATE_ALIVE && member.metadata_len == 0);
        north += strcmp(member.zone, "north") == 0 && strcmp(member.name, "two") == 0;
    }
    SwimringMember none;
    CHECK(north == 1 && swimring_members_get(members, 2, &none) == SWIMRING_ERROR);
    swimring_members_free(members);

    size_t len = 0;
    CHECK(swimring_send_event(one, "flush", (const uint8_t *)"prices", 6) == SWIMRING_OK);
    SwimringEvent *user = wait_for(at_two, SWIMRING_EVENT_KIND_USER);
    CHECK(strcmp(swimring_event_name(user), "flush") == 0 && strcmp(swimring_event_member(user), "one") == 0);
    const uint8_t *flushed = swimring_event_payload(user, &len);
    CHECK(holds(flushed, len, "prices"));
    CHECK(swimring_event_reply(user, NULL, 0) == SWIMRING_ERROR);
    swimring_event_free(user);

    CHECK(swimring_send(one, "two", (const uint8_t *)"once", 4) == SWIMRING_OK);
    SwimringEvent *message = wait_for(at_two, SWIMRING_EVENT_KIND_MESSAGE);
    const uint8_t *said = swimring_event_payload(message, &len);
    CHECK(holds(said, len, "once"));
    swimring_event_free(message);
    CHECK(swimring_send_reliable(one, "two", (const uint8_t *)"surely", 6, PATIENCE_MS) == SWIMRING_OK);
    message = wait_for(at_two, SWIMRING_EVENT_KIND_MESSAGE);
    said = swimring_event_payload(message, &len);
    CHECK(holds(said, len, "surely"));
    swimring_event_free(message);
    CHECK(swimring_send(one, "nobody", NULL, 0) == SWIMRING_ERROR);

    pthread_t answering;
    CHECK(pthread_create(&answering, NULL, answer, at_two) == 0);
    SwimringBytes *reply = NULL;
    CHECK(swimring_ask(one, "two", (const uint8_t *)"how many?", 9, PATIENCE_MS, &reply) == SWIMRING_OK);
    bytes_are(reply, "17");
    CHECK(pthread_join(answering, NULL) == 0);

    CHECK(swimring_state_set(one, true, "currency", (const uint8_t *)"EUR", 3) == SWIMRING_OK);
    CHECK(swimring_state_set(one, false, "load", (const uint8_t *)"0.4", 3) == SWIMRING_OK);
    SwimringBytes *value = NULL;
    CHECK(swimring_state_get(one, NULL, "currency", &value) == SWIMRING_OK);
    bytes_are(value, "EUR");
    /* The other one hears of it in a moment. */
    int found = SWIMRING_NONE;
    for (int tries = 0; tries < PATIENCE_MS && found == SWIMRING_NONE; tries++) {
        SwimringEvent *event = NULL;
        found = swimring_state_get(two, "one", "load", &value);
        if (found == SWIMRING_NONE && swimring_events_next(at_two, 1, &event) == SWIMRING_OK) swimring_event_free(event);
    }
    CHECK(found == SWIMRING_OK);
    bytes_are(value, "0.4");
    CHECK(swimring_state_delete(one, false, "load") == SWIMRING_OK);
    CHECK(swimring_state_delete(one, false, "load") == SWIMRING_NONE);
    CHECK(swimring_state_get(one, "one", "load", &value) == SWIMRING_NONE);

    CHECK(swimring_update_metadata(two, (const uint8_t *)"v2", 2) == SWIMRING_OK);
    swimring_event_free(wait_for(at_one, SWIMRING_EVENT_KIND_UPDATED));
    CHECK(swimring_leave(two, PATIENCE_MS) == SWIMRING_OK);
    SwimringEvent *left = wait_for(at_one, SWIMRING_EVENT_KIND_LEFT);
    CHECK(strcmp(swimring_event_member(left), "two") == 0);
    swimring_event_free(left);

    swimring_free(two);
    SwimringEvent *last = NULL;
    int ended;
    while ((ended = swimring_events_next(at_two, PATIENCE_MS, &last)) == SWIMRING_OK) swimring_event_free(last);
    CHECK(ended == SWIMRING_ENDED);
    swimring_events_free(at_two);
    swimring_events_free(at_one);
    swimring_free(one);
    swimring_free(NULL);
    admission();
    puts("C: ok");
    return 0;
}
