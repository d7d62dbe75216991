//! Newcomers: those that have joined through this member, until the others are told of them.
//!
//! Whoever joins has the member that it joined through tell the others. Where few join, each is told of by itself, in frames that
//! those of a moment share. Where they come by the hundred that would be a copy of each for everybody, n^2 in all, of which each is
//! looked up and added on its own; a view says the same in one piece. So the newcomers of a *rush* are gathered until no more
//! come, and then something is told *view first*: who is asked to tell of it gets the view of the one who asks, and then tells its own
//! part of the cluster in the same way. So everybody has the whole view from somebody who had it, each member gives it to those
//! few that it asks, and whoever divides knows for whom.
//!
//! Where those that start together join through several members, those of these that have joined through another *hand over*: that one gets
//! their views, and tells of all. Each waits to be told like those that have joined through it. Whoever finds that it has told one of two groups tells
//! both.
//!
//! While there is a rush others' roots differ from ours, and comparing views would find what is about to be told.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::PREFIX_BITS_MAX;

use crate::protocol::dissemination::delegates::says;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::shared_lists::delegation::{News, Part, Range};
use crate::protocol::shared_lists::newcomers::{Fetch, Newcomers, patience};
use crate::protocol::state::{Context, Core, Status, ViewFirst};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::Update;

/// So long after we joined the member that we joined through tells of those that have joined through us: they have started with us.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(10);

impl Core {
    fn newcomers_mut(&mut self) -> &mut Newcomers {
        self.rushes = true;
        let patience = patience(self.seldom.joined_alone, self.id);
        self.seldom.newcomers.get_or_insert_with(|| Box::new(Newcomers::new(patience)))
    }

    /// When newcomers are told of, or a view is asked for; [`Time::NEVER`] if neither.
    #[inline]
    pub(in crate::protocol) fn newcomers_due(&self) -> Time {
        if self.rushes { self.due_in_rush() } else { Time::NEVER }
    }

    /// Apart, so that what asks for it after each frame stays small.
    #[cold]
    #[inline(never)]
    fn due_in_rush(&self) -> Time {
        let Some(newcomers) = self.newcomers() else { return Time::NEVER };
        let fetch = newcomers.fetch.map_or(Time::NEVER, |fetch| fetch.due);
        self.newcomers_told(newcomers).min(fetch).min(self.told_by(newcomers)).min(newcomers.again_due())
    }

    /// When we do without being told, or hand over whom we are to tell of.
    fn told_by(&self, newcomers: &Newcomers) -> Time {
        newcomers.told_by(self.table.live(), !self.is_untold(newcomers))
    }

    /// When those that wait are told of: not before we know whom to tell.
    fn newcomers_told(&self, newcomers: &Newcomers) -> Time {
        if self.lacks_view() { Time::NEVER } else { newcomers.due(self.table.live()) }
    }

    /// Whether many join through us.
    pub(in crate::protocol) fn is_rushed(&self) -> bool {
        self.newcomers().is_some_and(|newcomers| newcomers.are_rush())
    }

    /// Whether what is missing from our view is about to be told, so that comparing it is in vain.
    #[inline]
    pub(in crate::protocol) fn awaits_rush(&self, now: Time) -> bool {
        let Some(newcomers) = self.newcomers() else { return false };
        // Whoever was to tell us may be gone.
        let told = newcomers.untold().is_none() || self.is_untold(newcomers);
        newcomers.fetch.is_some() || told && now < newcomers.compared_from() || newcomers.rush_goes_on(now)
    }

    /// Somebody whose root is another than ours has something under way: in a rush it may wait for its view.
    pub(in crate::protocol) fn note_others_wait(&mut self, now: Time) {
        if let Some(newcomers) = &mut self.seldom.newcomers {
            newcomers.others_wait(now);
        }
    }

    /// Whether we are to have a view before we tell others, and have not got it.
    pub(in crate::protocol) fn fetches_view(&self) -> bool {
        self.newcomers().is_some_and(|newcomers| newcomers.fetch.is_some())
    }

    /// Whether newcomers have lately been told of with our view.
    pub(in crate::protocol) fn has_offered(&self, now: Time) -> bool {
        self.newcomers().is_some_and(|newcomers| newcomers.has_offered(self.table.live(), now))
    }

    /// Somebody joins through us.
    pub(in crate::protocol) fn note_join(&mut self, now: Time) {
        let live = self.table.live();
        self.newcomers_mut().note_join(live, now);
    }

    /// We have joined through the member at `through`, as many others do: it tells us of them.
    pub(in crate::protocol) fn note_joined_in_rush(&mut self, through: MemberIndex, now: Time) {
        self.newcomers_mut().joined_in_rush(through, now);
    }

    /// Takes in `news` of members that have us tell our zone of them.
    pub(super) fn gather(&mut self, cx: &mut Context<'_, '_>, news: &[News]) {
        let now = cx.now;
        let newcomers = self.newcomers_mut();
        let mut full = false;
        for News { subject, incarnation, .. } in news {
            full = newcomers.add(*subject, *incarnation, now);
        }
        if full || self.newcomers().is_some_and(|newcomers| self.newcomers_told(newcomers) <= now) {
            self.tell_newcomers(cx);
        }
    }

    /// Tells of those that wait: of each, or by our view.
    fn tell_newcomers(&mut self, cx: &mut Context<'_, '_>) {
        let now = cx.now;
        if let Some(through) = self.hands_over_to(cx) {
            return self.hand_over(cx, through);
        }
        let Some(newcomers) = &mut self.seldom.newcomers else { return };
        let rush = newcomers.are_rush();
        let update = Update::Alive { introduce: true };
        let waiting = newcomers.take(now).into_iter();
        let news = waiting.map(|(subject, incarnation)| News { subject, update, incarnation });
        let news = news.filter(|news| says(self.table.get(news.subject), update, news.incarnation));
        let news: Vec<News> = news.collect();
        let ours = Range::Zone { zone: self.zone, prefix_bits: 0 };
        match news.last() {
            Some(last) if rush => self.tell_view(cx, Some(*last)),
            _ => self.delegate_all(cx, &news, ours, false),
        }
    }

    /// Tells everyone all that we know, by our view. `last` came last, if somebody has.
    fn tell_view(&mut self, cx: &mut Context<'_, '_>, last: Option<News>) {
        let stands_for_all = if self.status == Status::Active { Some(self.live_on(cx)) } else { last };
        if let Some(newcomers) = &mut self.seldom.newcomers {
            newcomers.offer(cx.now);
        }
        if let Some(news) = stands_for_all {
            self.table.clear_untold_alive();
            cx.shared.counters.views_offered += 1;
            self.delegate_all(cx, &[news], Range::Everyone, true);
        }
    }

    /// That we live, once more. Nobody serves the same twice, and who joined last may be in a view that somebody else has told, so this stands
    /// for our view unless we are leaving.
    fn live_on(&mut self, cx: &mut Context<'_, '_>) -> News {
        let own = self.table.get(self.index);
        let incarnation = own.incarnation().next();
        self.set_entry(cx, self.index, own.with_incarnation(incarnation));
        News { subject: self.index, update: Update::Alive { introduce: true }, incarnation }
    }

    /// The view that we were to have is there, of whoever's `root` is that: we are told by it, or have been handed it over, or it shows that another
    /// group has joined at the same time.
    pub(in crate::protocol) fn view_fetched(&mut self, now: Time, root: u64) {
        let (live, same) = (self.table.live(), root == self.table.root());
        let handed_to = self.newcomers().and_then(Newcomers::handed_to);
        let gone = handed_to.is_some_and(|to| !self.table.get(to).is_alive());
        let Some(newcomers) = &mut self.seldom.newcomers else { return };
        let known = newcomers.fetch.map_or(live, |fetch| fetch.known);
        let learned = live.saturating_sub(known);
        match (newcomers.fetch, same) {
            (Some(Fetch { handed_over: true, .. }), _) => newcomers.take_over(learned, live, now),
            (_, true) => newcomers.groups_are_told(),
            (_, false) => newcomers.groups_met(learned, live, gone, now),
        }
    }

    /// What is due of newcomers and of a view that was asked for.
    #[inline]
    pub(super) fn newcomers_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.rushes {
            self.newcomers_are_due(cx);
        }
    }

    fn newcomers_are_due(&mut self, cx: &mut Context<'_, '_>) {
        let now = cx.now;
        if self.newcomers().is_some_and(|newcomers| self.told_by(newcomers) <= now) {
            self.do_without_being_told(cx);
        }
        self.fetch_when_due(cx);
        // They may have waited for what has just been given up.
        if self.newcomers().is_some_and(|newcomers| self.newcomers_told(newcomers) <= now) {
            self.tell_newcomers(cx);
        }
        if self.newcomers().is_some_and(|newcomers| newcomers.again_due() <= now) {
            match self.hands_over_to(cx) {
                Some(through) => self.hand_over(cx, through),
                None => self.tell_view(cx, None),
            }
        }
        let live = self.table.live();
        if self.newcomers().is_some_and(|newcomers| newcomers.is_over(live, now)) {
            (self.rushes, self.seldom.newcomers) = (false, None);
        }
    }

    /// The one that we joined through is to tell of those that wait, or has not told us and will not.
    fn do_without_being_told(&mut self, cx: &mut Context<'_, '_>) {
        if let Some(through) = self.hands_over_to(cx) {
            return self.hand_over(cx, through);
        }
        let handed = self.seldom.newcomers.as_mut().is_some_and(|newcomers| newcomers.give_up());
        if !self.joining {
            self.tell_deferred(cx);
        }
        if handed {
            self.tell_view(cx, None);
        }
    }

    /// Who is to tell in our place of those that have joined through us: the member that we joined through, if that was lately and it lives.
    fn hands_over_to(&self, cx: &Context<'_, '_>) -> Option<MemberIndex> {
        let newcomers = self.newcomers().filter(|newcomers| newcomers.hands_over())?;
        let lately = self.seldom.joined_alone && cx.now.since(self.seldom.joined_at) < HANDED_OVER_WITHIN;
        let through = cx.shared.directory.find(self.seldom.joined_through).filter(|_| lately);
        let through = newcomers.untold().or(through)?;
        let may =
            self.status == Status::Active && through != self.index && self.table.get(through).is_alive();
        Some(through).filter(|_| may)
    }

    /// Has the member at `through` tell of all whom we know, and nobody else: by our view, as [`Core::tell_view`] does.
    fn hand_over(&mut self, cx: &mut Context<'_, '_>, through: MemberIndex) {
        let live = self.table.live();
        self.newcomers_mut().hand_over(through, live, cx.now);
        let zone = self.identity(through, cx.shared).zone();
        let part = Part { delegate: through, zone, prefix_bits: PREFIX_BITS_MAX, view_first: true };
        let news = self.live_on(cx);
        cx.shared.counters.views_handed_over += 1;
        self.delegate_all(cx, &[news], Range::Only(part), true);
    }

    /// The sender of the frame that is taken in has us tell of all whom it knows: we get its `view` for that.
    pub(super) fn take_over_view(&mut self, cx: &mut Context<'_, '_>, view: ViewFirst) {
        let (live, now) = (self.table.live(), cx.now);
        match (view, cx.sender) {
            (ViewFirst::Had, _) => self.newcomers_mut().take_over(0, live, now),
            (ViewFirst::Wanted, Some(from)) if self.status == Status::Active => {
                self.fetch_from(cx, from, true);
            }
            _ => {}
        }
    }

    /// We are to tell others what the sender of the frame that is taken in asks us to, and to have its view before.
    pub(super) fn fetch_view(&mut self, cx: &mut Context<'_, '_>) {
        let Some(from) = cx.sender.filter(|_| self.status == Status::Active) else { return };
        if self.fetch_from(cx, from, false) {
            self.note_rush_told(cx.now);
        }
    }

    /// Asks for the view of `from`, or does so once the one that is asked for is there: then false.
    fn fetch_from(
        &mut self,
        cx: &mut Context<'_, '_>,
        from: (SocketAddr, MemberId),
        handed_over: bool,
    ) -> bool {
        let known = self.table.live();
        let fetch = Fetch { handed_over, ..Fetch::new(from, known, cx.now) };
        if self.fetches_view() {
            let room = self.newcomers_mut().fetch_later(fetch);
            cx.shared.counters.views_unfetched += u64::from(!room);
            return false;
        }
        self.newcomers_mut().fetch = Some(fetch);
        self.fetch_when_due(cx);
        true
    }

    /// Asks for the view if it is due, or does without it.
    fn fetch_when_due(&mut self, cx: &mut Context<'_, '_>) {
        let Some(newcomers) = &mut self.seldom.newcomers else { return };
        let Some(fetch) = newcomers.fetch.as_mut().filter(|fetch| fetch.due <= cx.now) else { return };
        if fetch.is_in_vain() {
            cx.shared.counters.views_unfetched += 1;
            return self.end_fetch(cx);
        }
        fetch.begin();
        let (to, destination) = fetch.from;
        cx.out.streams.push(StreamOpen { to, destination, purpose: StreamPurpose::View });
    }

    /// The stream of a view that we asked for has ended without it: it is asked for again.
    pub(in crate::protocol) fn fetch_failed(&mut self, now: Time) {
        let drawn = self.rng.f64();
        if let Some(fetch) = self.seldom.newcomers.as_mut().and_then(|newcomers| newcomers.fetch.as_mut()) {
            fetch.failed(drawn, now);
        }
    }

    /// The view that we asked for is there, or will not come: tells what waits for it.
    pub(in crate::protocol) fn end_fetch(&mut self, cx: &mut Context<'_, '_>) {
        let handed_over =
            self.newcomers().is_some_and(|newcomers| newcomers.fetch.is_some_and(|fetch| fetch.handed_over));
        if !handed_over {
            self.note_rush_told(cx.now);
        }
        let known = self.table.live();
        if let Some(newcomers) = &mut self.seldom.newcomers {
            newcomers.fetch_next(known, cx.now);
        }
        self.fetch_when_due(cx);
        if !self.joining {
            self.tell_deferred(cx);
        }
    }

    /// A rush is told of by views, ours among them.
    pub(super) fn note_rush_told(&mut self, now: Time) {
        let live = self.table.live();
        self.newcomers_mut().rush_told(live, now);
    }
}
