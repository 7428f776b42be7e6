# Verifies a message from standard input with Mail::DKIM, whose code has nothing in common with
# what signs here. Its DNS is one TXT record: the strings given as arguments.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS;

package OneRecord {
    sub new { bless {}, shift }

    sub send {
        my ($self, $name) = @_;
        my $packet = Net::DNS::Packet->new($name, 'TXT', 'IN');
        $packet->header->qr(1);
        $packet->push(
            answer => Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => [@ARGV]));
        return $packet;
    }
    sub AUTOLOAD { return }    # limits and options, which it has none of
}

Mail::DKIM::DNS::resolver(OneRecord->new);
my $verifier = Mail::DKIM::Verifier->new;
binmode STDIN;
local $/ = undef;
$verifier->PRINT(scalar <STDIN>);
$verifier->CLOSE;
print $verifier->result_detail;
